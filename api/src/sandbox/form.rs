//! Requests as Stripe takes them: `application/x-www-form-urlencoded`, nested with brackets
//! (`metadata[funding_id]=…`, `expand[]=latest_charge`, `expand[0]=latest_charge`, `created[gte]=…`).
//!
//! # Invariants
//! - A text with a NUL character is refused here: Postgres cannot hold it.
//! - Two forms with the same fields have the same fingerprint, whatever the order in which they were sent.
//!
//! # What is deliberately absent
//! Refusal of parameters that nobody reads. Those whose neglect would move other money than the caller meant are
//! refused by the order that they belong to ([`Form::refuse`]).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::fee::Currency;
use super::refusal::Refusal;

/// The most that Stripe takes in any currency is twelve digits (<https://docs.stripe.com/currencies>).
const AMOUNT_MAX: i64 = 999_999_999_999;
/// Stripe's limits of metadata (<https://docs.stripe.com/metadata>).
const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_MAX: usize = 40;
const METADATA_VALUE_MAX: usize = 500;
/// Stripe's limit on the depth of an expansion (<https://docs.stripe.com/expand>).
const EXPAND_DEPTH_MAX: usize = 4;
/// Stripe's page size unless told, and its limit (<https://docs.stripe.com/api/pagination>).
const PAGE_DEFAULT: i64 = 10;
const PAGE_MAX: i64 = 100;

/// The string map that Stripe keeps with an object for the caller.
pub(super) type Metadata = BTreeMap<String, String>;

/// The fields of a request, query and body together.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Field {
    /// As sent: `metadata[funding_id]`.
    name: String,
    /// `["metadata", "funding_id"]`.
    path: Vec<String>,
    value: String,
}

/// What part of a list is asked for.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// At most this many objects.
    pub(super) limit: i64,
    /// The last object that the caller has; the list goes on after it.
    pub(super) starting_after: Option<String>,
}

impl Form {
    /// Reads a query string and a body.
    pub(super) fn parse(query: &str, body: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::BadRequest {
            status: axum::http::StatusCode::BAD_REQUEST,
            message: "Invalid request: parameters must be form-encoded.".to_owned(),
        };
        let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| malformed())?;
        pairs.extend(serde_urlencoded::from_bytes::<Vec<(String, String)>>(body).map_err(|_| malformed())?);
        let mut fields = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            if name.contains('\0') || value.contains('\0') {
                let name = name.replace('\0', "");
                return Err(Refusal::invalid(name, "Invalid string: NUL characters are not allowed."));
            }
            fields.push(Field { path: split(&name), name, value });
        }
        Ok(Self { fields })
    }

    /// SHA-256 of method, path and all fields in a fixed order.
    pub(super) fn fingerprint(&self, method: &str, path: &str) -> Vec<u8> {
        let mut pairs: Vec<(&str, &str)> =
            self.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        pairs.sort_unstable();
        let mut digest = Sha256::new();
        for part in [method, path].into_iter().chain(pairs.into_iter().flat_map(|(name, value)| [name, value])) {
            // Length first: no two lists of parts run together to the same bytes.
            digest.update(part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().to_vec()
    }

    fn get(&self, path: &[&str]) -> Option<&str> {
        self.fields.iter().rev().find(|field| field.path == path).map(|field| field.value.as_str())
    }

    /// A text; `None` when it is missing or empty (Stripe takes the empty string for "unset").
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(&[name]).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A text one level down: `automatic_payment_methods[enabled]`.
    pub(super) fn inner_text(&self, name: &str, inner: &str) -> Option<String> {
        self.get(&[name, inner]).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A text further down: `settings[payouts][schedule][interval]`.
    pub(super) fn deep_text(&self, path: &[&str]) -> Option<String> {
        self.get(path).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<String, Refusal> {
        self.text(name).ok_or(Refusal::Missing { param: name })
    }

    /// `true` or `false`; `None` when it is missing.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.get(&[name]).map(|value| boolean(name, value)).transpose()
    }

    /// `true` or `false` one level down.
    pub(super) fn inner_boolean(&self, name: &str, inner: &str) -> Result<Option<bool>, Refusal> {
        self.get(&[name, inner]).map(|value| boolean(&format!("{name}[{inner}]"), value)).transpose()
    }

    /// The `amount`: positive minor units.
    pub(super) fn amount(&self) -> Result<i64, Refusal> {
        let invalid =
            |code, message: String| Refusal::Invalid { param: "amount".to_owned(), code: Some(code), message };
        let text = self.required("amount")?;
        if !text.strip_prefix('-').unwrap_or(&text).bytes().all(|digit| digit.is_ascii_digit()) || text == "-" {
            return Err(invalid("parameter_invalid_integer", format!("Invalid integer: {text}")));
        }
        match text.parse::<i64>() {
            Ok(amount) if amount < 1 => {
                Err(invalid("parameter_invalid_integer", "This value must be greater than or equal to 1.".to_owned()))
            }
            Ok(amount) if amount <= AMOUNT_MAX => Ok(amount),
            Err(_) if text.starts_with('-') => {
                Err(invalid("parameter_invalid_integer", "This value must be greater than or equal to 1.".to_owned()))
            }
            Ok(_) | Err(_) => Err(invalid("amount_too_large", format!("Amount must be no more than {AMOUNT_MAX}."))),
        }
    }

    /// The `currency`: a lower-case ISO 4217 code.
    pub(super) fn currency(&self) -> Result<Currency, Refusal> {
        self.named_currency("currency")
    }

    /// A currency by another name than `currency`.
    pub(super) fn named_currency(&self, name: &'static str) -> Result<Currency, Refusal> {
        let code = self.required(name)?;
        Currency::get(&code).ok_or_else(|| {
            Refusal::invalid(name, format!("Invalid currency: {code}. Currencies are lower-case ISO 4217 codes."))
        })
    }

    /// Whether anything was sent under a name, itself or nested.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.path.first().is_some_and(|first| first == name))
    }

    /// The `metadata`.
    pub(super) fn metadata(&self) -> Result<Metadata, Refusal> {
        let mut metadata = Metadata::new();
        for field in self.fields.iter().filter(|field| field.path.first().is_some_and(|first| first == "metadata")) {
            let [_, key] = field.path.as_slice() else {
                if field.path.len() == 1 && field.value.is_empty() {
                    continue;
                }
                return Err(Refusal::invalid(field.name.clone(), "Metadata is a map of texts: metadata[key]=value."));
            };
            if key.is_empty() || key.chars().count() > METADATA_KEY_MAX {
                let message = format!("Metadata keys have 1 to {METADATA_KEY_MAX} characters.");
                return Err(Refusal::invalid(field.name.clone(), message));
            }
            if field.value.chars().count() > METADATA_VALUE_MAX {
                let message = format!("Metadata values have at most {METADATA_VALUE_MAX} characters.");
                return Err(Refusal::invalid(field.name.clone(), message));
            }
            if !field.value.is_empty() {
                metadata.insert(key.clone(), field.value.clone());
            }
        }
        if metadata.len() > METADATA_KEYS_MAX {
            return Err(Refusal::invalid("metadata", format!("Metadata has at most {METADATA_KEYS_MAX} keys.")));
        }
        Ok(metadata)
    }

    /// A list of texts: `payment_method_types[]=card` or `payment_method_types[0]=card`.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|field| match field.path.as_slice() {
                [first] => first == name,
                [first, index] => first == name && index.bytes().all(|digit| digit.is_ascii_digit()),
                _ => false,
            })
            .map(|field| field.value.clone())
            .collect()
    }

    /// The paths to expand.
    pub(super) fn expand(&self) -> Result<Vec<Vec<String>>, Refusal> {
        let paths: Vec<Vec<String>> =
            self.texts("expand").iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        match paths.iter().find(|path| path.len() > EXPAND_DEPTH_MAX) {
            Some(path) => Err(Refusal::invalid(
                "expand",
                format!("You cannot expand more than {EXPAND_DEPTH_MAX} levels: {}.", path.join(".")),
            )),
            None => Ok(paths),
        }
    }

    /// Which part of a list.
    pub(super) fn page(&self) -> Result<Page, Refusal> {
        self.refuse(&["ending_before"])?;
        let limit = match self.text("limit") {
            None => PAGE_DEFAULT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit)).ok_or_else(|| Refusal::Invalid {
                    param: "limit".to_owned(),
                    code: Some("parameter_invalid_integer"),
                    message: format!("limit is an integer from 1 to {PAGE_MAX}."),
                })?
            }
        };
        Ok(Page { limit, starting_after: self.text("starting_after") })
    }

    /// Seconds since the epoch: `created[gte]=…`.
    pub(super) fn instant(&self, name: &str, bound: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(text) = self.inner_text(name, bound) else {
            return Ok(None);
        };
        match text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
            Some(instant) => Ok(Some(instant)),
            None => Err(Refusal::invalid(format!("{name}[{bound}]"), format!("Invalid timestamp: {text}"))),
        }
    }

    /// Refuses parameters of Stripe's that the sandbox does not implement and must not neglect.
    pub(super) fn refuse(&self, names: &[&str]) -> Result<(), Refusal> {
        match self.fields.iter().find(|field| {
            !field.value.is_empty() && field.path.first().is_some_and(|first| names.contains(&first.as_str()))
        }) {
            Some(field) => Err(Refusal::Invalid {
                param: field.name.clone(),
                code: Some("parameter_unknown"),
                message: format!("The sandbox does not implement the parameter {}.", field.name),
            }),
            None => Ok(()),
        }
    }
}

fn boolean(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Refusal::invalid(name, format!("Invalid boolean: {value}"))),
    }
}

/// `a[b][]` to `["a", "b", ""]`; a name whose brackets do not match is taken as it is.
fn split(name: &str) -> Vec<String> {
    let whole = || vec![name.to_owned()];
    let Some((first, rest)) = name.split_once('[') else {
        return whole();
    };
    let Some(rest) = rest.strip_suffix(']') else {
        return whole();
    };
    let inner: Vec<&str> = rest.split("][").collect();
    if first.is_empty() || inner.iter().any(|part| part.contains(['[', ']'])) {
        return whole();
    }
    std::iter::once(first).chain(inner).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse("", text.as_bytes()).unwrap()
    }

    #[test]
    fn brackets_nest() {
        let form = form("metadata[funding_id]=fnd_1&metadata%5Ba%5D=b&expand[]=x.y&expand[1]=z&created[gte]=5&a[b=1");
        let metadata = form.metadata().unwrap();
        assert_eq!(metadata.get("funding_id").map(String::as_str), Some("fnd_1"));
        assert_eq!(metadata.get("a").map(String::as_str), Some("b"));
        assert_eq!(form.expand().unwrap(), vec![vec!["x".to_owned(), "y".to_owned()], vec!["z".to_owned()]]);
        assert_eq!(form.instant("created", "gte").unwrap(), DateTime::from_timestamp(5, 0));
        assert_eq!(form.text("a[b"), Some("1".to_owned()));
    }

    #[test]
    fn an_amount_is_a_positive_integer_of_at_most_twelve_digits() {
        let code = |text: &str| form(text).amount().map_err(|refusal| refusal.body()["error"]["code"].clone());
        assert_eq!(code("amount=1"), Ok(1));
        assert_eq!(code("amount=999999999999"), Ok(AMOUNT_MAX));
        assert_eq!(code("").unwrap_err(), "parameter_missing");
        for amount in ["0", "-1", "-99999999999999999999", "1.5", "1e3", "-", "a", "+1"] {
            assert_eq!(
                code(&format!("amount={}", amount.replace('+', "%2B"))).unwrap_err(),
                "parameter_invalid_integer"
            );
        }
        for amount in ["1000000000000", "99999999999999999999"] {
            assert_eq!(code(&format!("amount={amount}")).unwrap_err(), "amount_too_large");
        }
    }

    #[test]
    fn nul_is_refused() {
        assert!(Form::parse("", b"description=a%00b").is_err());
        assert!(Form::parse("a%00=b", b"").is_err());
    }

    #[test]
    fn the_fingerprint_knows_fields_and_not_their_order() {
        let print = |text: &str| form(text).fingerprint("POST", "/v1/transfers");
        assert_eq!(print("a=1&b=2"), print("b=2&a=1"));
        assert_ne!(print("a=1&b=2"), print("a=1&b=3"));
        assert_ne!(print("a=1b&c="), print("a=1&bc="));
        assert_ne!(form("").fingerprint("POST", "/a"), form("").fingerprint("POST", "/b"));
    }
}
