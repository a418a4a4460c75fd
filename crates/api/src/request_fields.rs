//! One declaration for a body or a set of query parameters: the struct that its handler gets, its schema in the OpenAPI
//! document, and how it is read, with every bad field reported at once.
//!
//! ```text
//! request_fields! {
//!     /// The collection to create.
//!     pub struct NewCollection in body {
//!         /// 1 to 64 letters (a-z, A-Z), digits, `_` and `-`; the first is a letter or digit.
//!         #[schema(example = "orders")]
//!         pub name: CollectionName = required(CollectionName::parse),
//!     }
//! }
//!
//! let NewCollection { name } = body.fields()?.parse(NewCollection::from_fields)?;
//! ```
//!
//! `in body` derives `ToSchema`, `in query` derives `IntoParams`, `in body and query` both. After the `=` follows the
//! method of [`Fields`](super::fields::Fields) that reads the member:
//!
//! | method | on the wire |
//! |---|---|
//! | `required(parse)`, `optional(parse)` | a string |
//! | `required_unless(condition, parse)` | a string, which is required in the document |
//! | `required_if(condition, parse)` | a string, which may be absent in the document |
//! | `numeric(parse)` | a number that may be absent |
//! | `required_list(parse)`, `list(parse)` | an array of strings |
//! | `flag` | a boolean that may be absent |
//! | `filter`, `required_filter`, `partial_filter` | a filter: an object in a body, text in a query |
//! | `pipeline` | a pipeline: a list of objects in a body |
//! | `schema`, `required_schema` | a JSON Schema: an object in a body |
//! | `limit` | a limit of a quota: a number, absent, or null for none |
//! | `object(Name)` | an object that may be absent, declared by the same macro |
//!
//! `or default` after it replaces an absent value. Arguments after the name of the struct, as in
//! `pub struct SetPasswordRequest(http: &Http) in body`, become arguments of `from_fields`.
//!
//! # Pitfalls
//! Members are read and reported in the order of their declaration, which is also the order of parameters in the document
//! and so of arguments in generated clients. `reported as [..]` after `in ..` sets another order for reports. A parser may
//! use the arguments and the earlier members, each as its method has returned it: a required one is still an `Option`.

/// Declares a struct of request fields.
macro_rules! request_fields {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(($($argument:ident: $argument_type:ty),+))? in $place:ident $(and $other:ident)?
        $(reported as [$($reported:ident),+])? {
            $($members:tt)+
        }
    ) => {
        $crate::request_fields::request_fields! { @next
            {
                [$(#[$meta])*] $name [[$($($argument: $argument_type),+)?] [$($($reported),+)?]] [$place $($other)?]
            }
            [] { $($members)+ }
        }
    };

    // One member after another, with its attributes in a body and in a query, and with the conversion that its value needs.
    (@next $head:tt $done:tt {}) => {
        $crate::request_fields::request_fields! { @declare $head $done }
    };
    (
        @next $head:tt $done:tt {
            $(#[$meta:meta])*
            pub $member:ident: $type:ty = $method:ident $(($($arguments:tt)*))? $(or $default:ident)?,
            $($rest:tt)*
        }
    ) => {
        $crate::request_fields::request_fields! { @$method
            $head $done [[$(#[$meta])*] $member [$type] $method [$($($arguments)*)?] [$($default)?]] { $($rest)* }
        }
    };
    (@required $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [value_type = String] [value_type = String] [?] $rest
        }
    };
    (@required_unless $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [required = true, value_type = String] [value_type = String] [] $rest
        }
    };
    (@required_if $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @optional $head $done $member $rest }
    };
    (@optional $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member
            [required = false, value_type = Option<String>] [value_type = Option<String>] [] $rest
        }
    };
    (@numeric $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [required = false, value_type = Option<u32>] [value_type = Option<u32>] [] $rest
        }
    };
    (@required_list $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [value_type = Vec<String>] [value_type = Vec<String>] [?] $rest
        }
    };
    (@list $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member
            [required = false, value_type = Option<Vec<String>>] [value_type = Option<Vec<String>>] [] $rest
        }
    };
    (@flag $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [required = false, value_type = Option<bool>] [value_type = Option<bool>] [] $rest
        }
    };
    (@filter $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member
            [required = false, value_type = Option<Object>] [value_type = Option<String>] [] $rest
        }
    };
    (@partial_filter $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @filter $head $done $member $rest }
    };
    (@required_filter $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [value_type = Object] [value_type = String] [?] $rest
        }
    };
    (@schema $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @filter $head $done $member $rest }
    };
    (@required_schema $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @required_filter $head $done $member $rest }
    };
    (@pipeline $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member [value_type = Vec<Object>] [value_type = String] [?] $rest
        }
    };
    (@limit $head:tt $done:tt $member:tt $rest:tt) => {
        $crate::request_fields::request_fields! { @push
            $head $done $member
            [required = false, maximum = 9_007_199_254_740_992_u64, value_type = Option<u64>]
            [value_type = Option<u64>] [] $rest
        }
    };
    (
        @object $head:tt $done:tt
        [$meta:tt $member:ident $type:tt $method:ident [$object:ident] $default:tt] $rest:tt
    ) => {
        $crate::request_fields::request_fields! { @push
            $head $done [$meta $member $type $method [$object::from_fields] $default]
            [required = false, value_type = Option<$object>] [value_type = Option<$object>] [] $rest
        }
    };
    (
        @push $head:tt [$($done:tt)*] [$meta:tt $member:ident $type:tt $method:ident $arguments:tt $default:tt]
        $schema:tt $param:tt $end:tt $rest:tt
    ) => {
        $crate::request_fields::request_fields! { @next
            $head [$($done)* { $meta $member $type $method $arguments $default $schema $param $end }] $rest
        }
    };

    (
        @declare { [$($head:tt)*] $name:ident $arguments:tt [body] }
        [$({
            [$($meta:tt)*] $member:ident [$type:ty] $method:ident $args:tt $default:tt
            [$($schema:tt)*] $param:tt $end:tt
        })+]
    ) => {
        #[derive(utoipa::ToSchema)]
        $($head)*
        pub struct $name { $($($meta)* #[schema($($schema)*)] pub $member: $type,)+ }

        $crate::request_fields::request_fields! { @read
            $name $arguments [$({ $member $method $args $default $end })+]
        }
    };
    (
        @declare { [$($head:tt)*] $name:ident $arguments:tt [query] }
        [$({
            [$($meta:tt)*] $member:ident [$type:ty] $method:ident $args:tt $default:tt
            $schema:tt [$($param:tt)*] $end:tt
        })+]
    ) => {
        #[derive(utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        $($head)*
        pub struct $name { $($($meta)* #[param($($param)*)] pub $member: $type,)+ }

        $crate::request_fields::request_fields! { @read
            $name $arguments [$({ $member $method $args $default $end })+]
        }
    };
    (
        @declare { [$($head:tt)*] $name:ident $arguments:tt [body query] }
        [$({
            [$($meta:tt)*] $member:ident [$type:ty] $method:ident $args:tt $default:tt
            [$($schema:tt)*] [$($param:tt)*] $end:tt
        })+]
    ) => {
        #[derive(utoipa::ToSchema, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        $($head)*
        pub struct $name { $($($meta)* #[schema($($schema)*)] #[param($($param)*)] pub $member: $type,)+ }

        $crate::request_fields::request_fields! { @read
            $name $arguments [$({ $member $method $args $default $end })+]
        }
    };

    (
        @read $name:ident [[$($argument:ident: $argument_type:ty),*] [$($reported:ident),*]]
        [$({ $member:ident $method:ident [$($args:tt)*] [$($default:ident)?] [$($end:tt)*] })+]
    ) => {
        impl $name {
            /// Reads the members; `None` if a required one is missing, which is recorded in `fields`.
            pub fn from_fields(
                fields: &mut $crate::fields::Fields,
                $($argument: $argument_type),*
            ) -> Option<Self> {
                let earlier = fields.error_count();
                $(
                    let $member = fields.$method(stringify!($member), $($args)*);
                    $(let $member = $crate::request_fields::request_fields!(@$default $member);)?
                )+
                fields.sort_errors(earlier, &[$(stringify!($reported)),*]);
                Some(Self { $($member: $member $($end)*,)+ })
            }
        }
    };
    (@default $member:ident) => { $member.unwrap_or_default() };
}
pub(crate) use request_fields;

#[cfg(test)]
mod tests {
    use crate::fields::Fields;
    use tenantry_domain::collection::CollectionName;
    use tenantry_domain::page::PageLimit;
    use utoipa::openapi::path::ParameterIn;
    use utoipa::{IntoParams, PartialSchema};

    super::request_fields! {
        /// A request for the tests.
        pub struct Sample(longest: usize) in body and query reported as [hidden, name, title, limit] {
            /// Its name.
            #[schema(example = "orders")]
            pub name: CollectionName = required(CollectionName::parse),
            /// Longer than its name, and no longer than `longest`.
            pub title: Option<String> = optional(|text| {
                let shortest = name.as_ref().map_or(0, |name| name.as_str().len());
                if (shortest..=longest).contains(&text.len()) { Ok(text.to_owned()) } else { Err("Is not so long.") }
            }),
            /// Items of a page.
            pub limit: PageLimit = numeric(PageLimit::parse) or default,
            /// Whether it is hidden.
            pub hidden: bool = flag or default,
        }
    }

    fn read(fields: Fields) -> Result<Sample, Vec<(String, String)>> {
        fields.parse(|fields| Sample::from_fields(fields, 9)).map_err(|error| {
            let named = error.fields().iter();
            named.map(|field| (field.pointer.clone(), field.detail.clone())).collect()
        })
    }

    #[test]
    fn members_are_typed_and_absent_ones_have_their_default() {
        let fields = Fields::of_json(br#"{"name":"orders","title":"invoices","limit":null}"#).unwrap();
        let Sample { name, title, limit, hidden } = read(fields).unwrap();
        assert_eq!((name.as_str(), title.as_deref(), hidden), ("orders", Some("invoices"), false));
        assert_eq!(limit, PageLimit::default());
        assert!(read(Fields::of_query("name=orders&hidden=true").unwrap()).unwrap().hidden);
    }

    #[test]
    fn bad_members_are_all_reported_in_the_declared_order() {
        let pointers = |fields: Result<Fields, _>| -> Vec<String> {
            read(fields.unwrap()).err().unwrap().into_iter().map(|(pointer, _)| pointer).collect()
        };
        let body = br#"{"x":1,"hidden":"true","limit":"1","title":"orde"}"#;
        assert_eq!(pointers(Fields::of_json(body)), ["/hidden", "/name", "/limit", "/x"]);
        let query = "title=orde&name=orders&limit=0&hidden=1&x=1";
        assert_eq!(pointers(Fields::of_query(query)), ["?hidden", "?title", "?limit", "?x"]);
    }

    #[test]
    fn document_says_of_members_what_reads_them() {
        let schema = serde_json::to_value(Sample::schema()).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["name"]));
        assert_eq!(schema["properties"]["name"]["example"], "orders");
        assert_eq!(schema["properties"]["hidden"]["type"], serde_json::json!(["boolean", "null"]));
        let parameters = Sample::into_params(|| None);
        assert!(parameters.iter().all(|parameter| parameter.parameter_in == ParameterIn::Query));
        let parameters = serde_json::to_value(parameters).unwrap();
        assert_eq!(parameters[0]["required"], true);
        assert_eq!(parameters[2]["required"], false);
        assert_eq!(parameters[2]["schema"]["type"], "integer");
        assert_eq!(parameters[3]["description"], "Whether it is hidden.");
    }
}
