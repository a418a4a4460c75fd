//! The form of Extended JSON in which a client wants the values of documents.

use crate::fields::Fields;
use crate::http::Http;
use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::sync::Arc;
use tenantry_documents::document::JsonFormat;
use utoipa::IntoParams;

/// The parameter of any request that is answered with documents or their values.
#[derive(Clone, Copy, IntoParams)]
#[into_params(names("values"), parameter_in = Query)]
pub struct ValueFormat(
    /// `canonical` writes every value with its type, for clients that would round a long integer; `relaxed` is the
    /// default.
    #[param(value_type = Option<String>)]
    pub JsonFormat,
);

impl ValueFormat {
    /// Takes it out of the parameters of a query, which report it if it is bad.
    pub fn of(query: &mut Fields) -> Self {
        Self(query.optional("values", parse).unwrap_or_default())
    }

    /// `route` as an `Idempotency-Key` knows it: a response that is kept has one form.
    pub fn route(self, route: String) -> String {
        match self.0 {
            JsonFormat::Relaxed => route,
            JsonFormat::Canonical => format!("{route}?values=canonical"),
        }
    }
}

fn parse(text: &str) -> Result<JsonFormat, &'static str> {
    match text {
        "relaxed" => Ok(JsonFormat::Relaxed),
        "canonical" => Ok(JsonFormat::Canonical),
        _ => Err("Must be relaxed or canonical."),
    }
}

impl FromRequestParts<Arc<Http>> for ValueFormat {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let Some(query) = parts.uri.query() else { return Ok(Self(JsonFormat::default())) };
        Ok(Fields::of_query(query)?.parse(|query| Some(Self::of(query)))?)
    }
}
