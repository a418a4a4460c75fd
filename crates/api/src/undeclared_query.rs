//! Refuses query parameters of operations that take none: a parameter that is ignored would let its sender believe that it
//! had an effect. Operations that take some refuse all others themselves.
//!
//! Classic operations ignore what they do not know, as they always have.

use crate::fields::Fields;
use axum::http::{Method, Request};
use serde_json::Value;
use std::collections::BTreeMap;
use tenantry_domain::Result;

/// The prefix of the routes that take nothing they do not know.
pub const STRICT_ROUTES: &str = "/v1/";

/// The methods, by the shapes of their routes, of operations that take no query parameter.
pub struct OperationsWithoutQuery(BTreeMap<String, Vec<Method>>);

impl OperationsWithoutQuery {
    /// Those of the OpenAPI document.
    pub fn of(document: &Value) -> Self {
        let mut found: BTreeMap<String, Vec<Method>> = BTreeMap::new();
        let paths = document["paths"].as_object().into_iter().flatten();
        for (route, operations) in paths.filter(|(route, _)| route.starts_with(STRICT_ROUTES)) {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let Ok(method) = method.to_ascii_uppercase().parse() else { continue };
                if !takes_query(operation) {
                    found.entry(shape(route)).or_default().push(method);
                }
            }
        }
        Self(found)
    }

    /// Refuses the query of a request on that route, if its operation takes none.
    ///
    /// # Errors
    /// `invalid_input` with every parameter.
    pub fn check<B>(&self, route: &str, request: &Request<B>) -> Result<()> {
        let Some(query) = request.uri().query().filter(|query| !query.is_empty()) else { return Ok(()) };
        let is_without = self.0.get(&shape(route)).is_some_and(|methods| methods.contains(request.method()));
        if is_without { Fields::of_query(query)?.finish_empty() } else { Ok(()) }
    }
}

/// The route without the names of its parameters: the document gives some of them other names.
fn shape(route: &str) -> String {
    let segments = route.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn takes_query(operation: &Value) -> bool {
    operation["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["in"] == "query")
}
