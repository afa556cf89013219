//! Tokens of other issuers: any OpenID Connect issuer, with the peculiarities of Auth0 and Cognito (`research.md` F.3).
//!
//! # What is deliberately absent
//! ID tokens: they tell an application who signed in, and open nothing here.

use domain::time::Timestamp;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::access_token::{TokenError, check_times, signed_claims};
use super::jwks::{Place, RemoteKeys};
use super::scope::ScopeSet;
use super::shown::Methods;
use crate::caller::{Authentication, Role};
use crate::outgoing::OutgoingConfig;

/// How an issuer's access tokens look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// As RFC 9068 and OpenID Connect have them.
    #[default]
    Standard,
    /// `aud` may be a list; `permissions` beside `scope`; `azp` for the application.
    Auth0,
    /// No `aud`: `client_id`, and `token_use` is `access`; groups in `cognito:groups`.
    Cognito,
}

/// Whom a subject that was never seen stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linking {
    /// A new party, from then on.
    #[default]
    FirstSight,
    /// Nobody, until an operator links it.
    Never,
}

/// An issuer whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalIssuerConfig {
    /// As `iss` in its tokens, to the letter.
    pub issuer: String,
    /// Where its keys are; by its discovery document when absent.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// How its tokens look.
    #[serde(default)]
    pub profile: Profile,
    /// One of these has to be in `aud`. For Cognito only when the token has one.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The application has to be one of these. Required for Cognito; for others, if any is given.
    #[serde(default)]
    pub client_ids: Vec<String>,
    /// Algorithms that are taken: out of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// The claim with roles or groups: a text or a list of texts. `cognito:groups` for Cognito, `roles` for others.
    #[serde(default)]
    pub roles_claim: Option<String>,
    /// What the words in that claim are here, in pairs: theirs, and `client`, `payee` or a role of staff. The first pair
    /// that fits counts.
    #[serde(default)]
    pub roles: Vec<(String, String)>,
    /// The role of who has none of those: nobody's when absent.
    #[serde(default)]
    pub default_role: Option<String>,
    /// Whether a role brings all its scopes: for an issuer whose tokens name none of ours.
    #[serde(default)]
    pub scopes_of_role: bool,
    /// Values of `acr` that stand for a second factor; `amr` with `mfa`, `otp` or `hwk` does so anyway.
    #[serde(default)]
    pub second_factor_acr: Vec<String>,
    /// Whom new subjects stand for.
    #[serde(default)]
    pub linking: Linking,
}

fn default_algorithms() -> Vec<String> {
    ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec()
}

/// A configuration that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the issuer {issuer}: {what}")]
pub struct ExternalIssuerError {
    /// The issuer.
    pub issuer: String,
    /// What is wrong.
    pub what: String,
}

/// An issuer, ready to check tokens.
#[derive(Debug)]
pub struct ExternalIssuer {
    config: ExternalIssuerConfig,
    algorithms: Vec<Algorithm>,
    roles: Vec<(String, Role)>,
    default_role: Option<Role>,
    keys: RemoteKeys,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who, at its issuer.
    pub subject: String,
    /// As what.
    pub role: Role,
    /// What it may do, at most.
    pub scopes: ScopeSet,
    /// How it showed who it is.
    pub authentication: Authentication,
    /// By which methods, as far as the token says.
    pub methods: Methods,
    /// Until when the token is good, in seconds of Unix time.
    pub exp: i64,
}

impl ExternalIssuer {
    /// An issuer of this configuration, whose keys are asked for where `outgoing` allows it.
    ///
    /// # Errors
    /// [`ExternalIssuerError`].
    pub fn new(config: ExternalIssuerConfig, outgoing: &OutgoingConfig) -> Result<Self, ExternalIssuerError> {
        let wrong = |what: String| ExternalIssuerError { issuer: config.issuer.clone(), what };
        let role = |word: &str| word.parse::<Role>().map_err(|error| wrong(format!("{word:?}: {error}")));
        let algorithms = config
            .algorithms
            .iter()
            .map(|name| match name.parse::<Algorithm>() {
                Ok(Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) | Err(_) => {
                    Err(wrong(format!("the algorithm {name} cannot be allowed")))
                }
                Ok(algorithm) => Ok(algorithm),
            })
            .collect::<Result<Vec<_>, _>>()?;
        match config.profile {
            Profile::Cognito if config.client_ids.is_empty() => {
                return Err(wrong("tokens of Cognito have no audience: say client_ids".to_owned()));
            }
            Profile::Standard | Profile::Auth0 if config.audiences.is_empty() => {
                return Err(wrong("say audiences: a token for somebody else must not open anything here".to_owned()));
            }
            _ => {}
        }
        let roles = config
            .roles
            .iter()
            .map(|(word, here)| Ok((word.clone(), role(here)?)))
            .collect::<Result<Vec<_>, ExternalIssuerError>>()?;
        let default_role = config.default_role.as_deref().map(role).transpose()?;
        let place = match &config.jwks_url {
            Some(url) => Place::Url(url.clone()),
            None => Place::Discovered { issuer: config.issuer.clone() },
        };
        let asked = config.jwks_url.as_ref().unwrap_or(&config.issuer);
        outgoing.parse(asked).map_err(|error| wrong(format!("{asked} {error}")))?;
        let keys = RemoteKeys::new(place, outgoing.clone()).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { config, algorithms, roles, default_role, keys })
    }

    /// The issuer, as its tokens name it.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Whom subjects stand for that were never seen.
    pub fn linking(&self) -> Linking {
        self.config.linking
    }

    /// What a token says, if it is good now.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Subject, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Algorithm)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(TokenError::Algorithm);
        }
        let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
        if !matches!(kind.strip_prefix("application/").unwrap_or(&kind), "at+jwt" | "jwt") {
            return Err(TokenError::Malformed);
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await.ok_or(TokenError::Signature)?;
        let claims: Value = signed_claims(token, header.alg, &key)?;
        self.judge(&claims, now)
    }

    fn judge(&self, claims: &Value, now: Timestamp) -> Result<Subject, TokenError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let seconds = |name: &str| claims.get(name).map(whole_seconds);
        let exp = seconds("exp").flatten().ok_or(TokenError::Malformed)?;
        let from = match (seconds("nbf"), seconds("iat")) {
            // There, and not a number.
            (Some(None), _) | (_, Some(None)) => return Err(TokenError::Malformed),
            (nbf, iat) => nbf.flatten().max(iat.flatten()),
        };
        check_times(exp, from, now)?;
        if text("iss") != Some(self.config.issuer.as_str()) {
            return Err(TokenError::Audience);
        }
        self.check_audience(claims)?;
        let subject = text("sub").filter(|subject| !subject.is_empty() && subject.len() <= 255);
        let subject = subject.ok_or(TokenError::Subject)?.to_owned();
        let role = self.role(claims).ok_or(TokenError::Subject)?;
        let granted = words(claims.get("scope")).chain(words(claims.get("scp")));
        let permissions = words(claims.get("permissions").filter(|_| self.config.profile == Profile::Auth0));
        let named: Vec<&str> = granted.chain(permissions).collect();
        let of_role = ScopeSet::of_role(role);
        let scopes = if self.config.scopes_of_role { of_role } else { ScopeSet::parse(&named.join(" ")).and(of_role) };
        let second_factor = words(claims.get("amr")).any(|method| matches!(method, "mfa" | "otp" | "hwk"))
            || text("acr").is_some_and(|acr| self.config.second_factor_acr.iter().any(|known| known == acr));
        let auth_time = seconds("auth_time").flatten();
        let methods = Methods::of(words(claims.get("amr")));
        let authentication = Authentication::Signed { auth_time, second_factor };
        Ok(Subject { subject, role, scopes, authentication, methods, exp })
    }

    fn check_audience(&self, claims: &Value) -> Result<(), TokenError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let audience = claims.get("aud");
        let ours = match audience {
            Some(Value::String(one)) => self.config.audiences.contains(one),
            Some(Value::Array(many)) => {
                many.iter().filter_map(Value::as_str).any(|one| self.config.audiences.iter().any(|ours| ours == one))
            }
            _ => false,
        };
        let client = text("client_id").or_else(|| text("azp"));
        let client_ours = client.is_some_and(|client| self.config.client_ids.iter().any(|ours| ours == client));
        let good = match self.config.profile {
            Profile::Standard | Profile::Auth0 => ours && (self.config.client_ids.is_empty() || client_ours),
            Profile::Cognito => text("token_use") == Some("access") && client_ours && (audience.is_none() || ours),
        };
        if good { Ok(()) } else { Err(TokenError::Audience) }
    }

    fn role(&self, claims: &Value) -> Option<Role> {
        let default = if self.config.profile == Profile::Cognito { "cognito:groups" } else { "roles" };
        let name = self.config.roles_claim.as_deref().unwrap_or(default);
        let theirs: Vec<&str> = words(claims.get(name)).collect();
        let found = self.roles.iter().find(|(word, _)| theirs.contains(&word.as_str())).map(|(_, role)| *role);
        found.or(self.default_role)
    }
}

/// An instant in seconds; a fraction is cut.
fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.to_string().split('.').next()?.parse().ok())
}

/// The words of a text separated by spaces, or of a list.
fn words(value: Option<&Value>) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Some(Value::String(text)) => Box::new(text.split_ascii_whitespace()),
        Some(Value::Array(list)) => Box::new(list.iter().filter_map(Value::as_str)),
        _ => Box::new(std::iter::empty()),
    }
}
