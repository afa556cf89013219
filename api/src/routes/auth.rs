//! The built-in issuer: registering, signing in and out, the second factor, and its public documents.
//!
//! # Invariants
//! - No answer says whether an address has an account.
//! - A body with a member that is not named here is refused: nobody makes itself something by adding a field.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Authentication, Caller};
use crate::code::ErrorCode;
use crate::edge::client_address;
use crate::extract::Body;
use crate::identity::access_token::{ACR_PASSWORD, ACR_SECOND_FACTOR};
use crate::identity::accounts::NewAccount;
use crate::identity::authenticate::Bearer;
use crate::identity::keyring::PublicJwks;
use crate::identity::second_factor::{Enrolment, RecoveryCodes};
use crate::identity::sign_in::{SignIn, Tokens, Visitor};
use crate::problem::Problem;

impl FromRequestParts<App> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self { address: client_address(app, parts), device: None })
    }
}

/// Who wants to take part.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Where mails reach the person.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// 8 to 128 characters, any; not one of those that are tried first.
    #[schema(example = "seven green apples")]
    pub password: String,
    /// The side of the market. Who pays: `client`, `buyer`, `seeker`, `customer`, `payer`, `employer`. Who delivers:
    /// `freelancer`, `provider`, `seller`, `payee`.
    #[schema(example = "freelancer")]
    pub role: String,
}

/// How a request that only has to be acknowledged went.
#[derive(Debug, Serialize, ToSchema)]
pub struct Acknowledged {
    /// What became of it.
    #[schema(example = "mail_sent")]
    pub status: String,
}

/// An account that was confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Confirmed {
    /// Always `confirmed`.
    #[schema(example = "confirmed")]
    pub status: String,
    /// The party that the account acts for.
    pub party_id: String,
}

/// A link that was mailed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// The token of the link.
    pub token: String,
}

/// Address and password, and what else is at hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The address.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// The password.
    pub password: String,
    /// A code from the app, or a recovery code, when the account has a second factor.
    #[serde(default)]
    pub code: Option<String>,
    /// The `device_token` of an earlier sign-in from this device.
    #[serde(default)]
    pub device_token: Option<String>,
}

/// The second half of signing in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyFactor {
    /// The `ticket` of the problem `mfa_required`.
    pub ticket: String,
    /// A code from the app, or a recovery code.
    pub code: String,
    /// The `device_token` of an earlier sign-in from this device.
    #[serde(default)]
    pub device_token: Option<String>,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest one.
    pub refresh_token: String,
}

/// An address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgottenPassword {
    /// The address.
    #[schema(example = "ada@example.com")]
    pub email: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The token of the link that was mailed.
    pub token: String,
    /// 8 to 128 characters, any; not one of those that are tried first.
    pub password: String,
}

/// A password that was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasswordChanged {
    /// Always `password_changed`.
    #[schema(example = "password_changed")]
    pub status: String,
    /// Say it when you sign in from this device: then others' wrong guesses cannot keep you out.
    pub device_token: String,
}

/// Showing again who one is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    /// The password.
    pub password: String,
    /// A code from the app, or a recovery code, when the account has a second factor.
    #[serde(default)]
    pub code: Option<String>,
    /// The `device_token` of an earlier sign-in from this device.
    #[serde(default)]
    pub device_token: Option<String>,
}

/// An access token that says that its bearer was just seen.
#[derive(Serialize, ToSchema)]
pub struct SteppedUp {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: String,
    /// Seconds that it is good.
    #[schema(example = 600)]
    pub expires_in: i64,
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// From the app; a recovery code where one is taken.
    #[schema(example = "287082")]
    pub code: String,
}

/// The caller, as it is known here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Always `user`.
    #[schema(example = "user")]
    pub object: String,
    /// The party, or the id of the member of staff.
    pub party_id: String,
    /// The role of this token: `client`, `payee` or one of staff.
    #[schema(example = "client")]
    pub role: String,
    /// What this token allows.
    pub scopes: Vec<String>,
    /// How strongly the caller showed who it is; absent for keys, and tokens that the operator made.
    pub acr: Option<String>,
    /// When, in seconds of Unix time, if the issuer says.
    pub auth_time: Option<i64>,
    /// The word that the person chose when registering; absent without an account here.
    pub kind: Option<String>,
    /// The address; absent without an account here, and where it was erased.
    pub email: Option<String>,
    /// Whether a code is asked for when signing in; absent without an account here.
    pub second_factor: Option<bool>,
}

/// What clients have to know of the issuer (OpenID Connect Discovery, RFC 8414).
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerDocument {
    /// Its name, `iss` in its tokens.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where access tokens come from.
    pub token_endpoint: String,
    /// Where a person signs in.
    pub authorization_endpoint: String,
    /// How tokens are signed.
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// Subjects are the same for all clients.
    pub subject_types_supported: Vec<String>,
    /// No flow of OpenID Connect is offered: tokens come from the token endpoint.
    pub response_types_supported: Vec<String>,
    /// What the token endpoint takes.
    pub grant_types_supported: Vec<String>,
    /// Values of `acr`.
    pub acr_values_supported: Vec<String>,
    /// Scopes.
    pub scopes_supported: Vec<String>,
    /// Claims.
    pub claims_supported: Vec<String>,
}

fn acknowledged(status: StatusCode, word: &str) -> Response {
    (status, Json(Acknowledged { status: word.to_owned() })).into_response()
}

/// Registers somebody, who gets a link by mail.
///
/// The account is there when the link was used. The answer is the same when the address has an account.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", request_body = Register,
    responses((status = 202, body = Acknowledged, description = "A mail is on its way.")))]
pub async fn register(State(app): State<App>, visitor: Visitor, body: Body<Register>) -> Result<Response, Problem> {
    let new = NewAccount { email: &body.value.email, password: &body.value.password, kind: &body.value.role };
    app.identity.register(new, &visitor).await?;
    Ok(acknowledged(StatusCode::ACCEPTED, "mail_sent"))
}

/// Confirms an address by the link that was mailed.
#[utoipa::path(post, path = "/v1/auth/verify-email", tag = "auth", request_body = VerifyEmail,
    responses((status = 200, body = Confirmed)))]
pub async fn verify_email(State(app): State<App>, body: Body<VerifyEmail>) -> Result<Json<Confirmed>, Problem> {
    let party_id = app.identity.confirm(&app, &body.value.token).await?;
    Ok(Json(Confirmed { status: "confirmed".to_owned(), party_id: party_id.to_string() }))
}

/// Signs in: an access token for ten minutes, and a refresh token.
///
/// With a second factor and without a `code` the answer is `mfa_required` with a `ticket` for `/v1/auth/mfa/verify`.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = Login, responses((status = 200, body = Tokens)))]
pub async fn login(State(app): State<App>, visitor: Visitor, body: Body<Login>) -> Result<Json<Tokens>, Problem> {
    let Login { email, password, code, device_token } = &body.value;
    let visitor = Visitor { device: device_token.clone(), ..visitor };
    match app.identity.sign_in(email, password, code.as_deref(), &visitor).await? {
        SignIn::Done(tokens) => Ok(Json(tokens)),
        SignIn::SecondFactor(ticket) => {
            Err(Problem::new(ErrorCode::MfaRequired, "go on with the ticket and a code").with("ticket", ticket))
        }
    }
}

/// Goes on after the password, with a code from the app or a recovery code.
#[utoipa::path(post, path = "/v1/auth/mfa/verify", tag = "auth", request_body = VerifyFactor,
    responses((status = 200, body = Tokens)))]
pub async fn verify_factor(
    State(app): State<App>,
    visitor: Visitor,
    body: Body<VerifyFactor>,
) -> Result<Json<Tokens>, Problem> {
    let visitor = Visitor { device: body.value.device_token.clone(), ..visitor };
    Ok(Json(app.identity.second_factor(&body.value.ticket, &body.value.code, &visitor).await?))
}

/// The next access token, and the next refresh token in place of this one.
///
/// A refresh token is good once. Shown again, the session ends: sign in again.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Tokens)))]
pub async fn refresh(State(app): State<App>, body: Body<Refresh>) -> Result<Json<Tokens>, Problem> {
    Ok(Json(app.identity.refresh(&body.value.refresh_token).await?))
}

/// Signs out: the session of the refresh token ends, with its access tokens.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Acknowledged)))]
pub async fn logout(State(app): State<App>, body: Body<Refresh>) -> Result<Response, Problem> {
    app.identity.sign_out(&body.value.refresh_token).await?;
    Ok(acknowledged(StatusCode::OK, "signed_out"))
}

/// Mails a link to choose a new password, if the address has an account.
#[utoipa::path(post, path = "/v1/auth/password-resets", tag = "auth", request_body = ForgottenPassword,
    responses((status = 202, body = Acknowledged, description = "A mail is on its way, if there is an account.")))]
pub async fn forgotten_password(
    State(app): State<App>,
    visitor: Visitor,
    body: Body<ForgottenPassword>,
) -> Result<Response, Problem> {
    app.identity.forgotten(&app, &body.value.email, &visitor).await?;
    Ok(acknowledged(StatusCode::ACCEPTED, "mail_sent_if_known"))
}

/// Chooses a new password by the link that was mailed. Every session ends.
#[utoipa::path(post, path = "/v1/auth/password-resets/confirm", tag = "auth", request_body = NewPassword,
    responses((status = 200, body = PasswordChanged)))]
pub async fn new_password(State(app): State<App>, body: Body<NewPassword>) -> Result<Json<PasswordChanged>, Problem> {
    let device_token = app.identity.choose_password(&body.value.token, &body.value.password).await?;
    Ok(Json(PasswordChanged { status: "password_changed".to_owned(), device_token }))
}

/// Shows again who one is, for what asks for it (RFC 9470).
#[utoipa::path(post, path = "/v1/auth/step-up", tag = "auth", request_body = StepUp,
    responses((status = 200, body = SteppedUp)))]
pub async fn step_up(
    State(app): State<App>,
    bearer: Bearer,
    visitor: Visitor,
    body: Body<StepUp>,
) -> Result<Json<SteppedUp>, Problem> {
    let session_id = bearer.session_id.ok_or_else(Problem::not_found)?;
    let StepUp { password, code, device_token } = &body.value;
    let visitor = Visitor { device: device_token.clone(), ..visitor };
    let (access_token, expires_in) = app.identity.again(session_id, password, code.as_deref(), &visitor).await?;
    Ok(Json(SteppedUp { access_token, token_type: "Bearer".to_owned(), expires_in }))
}

/// Begins to set up a second factor. It is none until it is confirmed.
#[utoipa::path(post, path = "/v1/auth/mfa/enroll", tag = "auth", responses((status = 200, body = Enrolment)))]
pub async fn enrol_factor(State(app): State<App>, caller: Caller) -> Result<Json<Enrolment>, Problem> {
    Ok(Json(app.identity.enrol_factor(&caller).await?))
}

/// Turns the second factor on, and gives recovery codes.
#[utoipa::path(post, path = "/v1/auth/mfa/confirm", tag = "auth", request_body = Code,
    responses((status = 200, body = RecoveryCodes)))]
pub async fn confirm_factor(
    State(app): State<App>,
    caller: Caller,
    body: Body<Code>,
) -> Result<Json<RecoveryCodes>, Problem> {
    Ok(Json(app.identity.confirm_factor(&caller, &body.value.code).await?))
}

/// Turns the second factor off.
#[utoipa::path(post, path = "/v1/auth/mfa/disable", tag = "auth", request_body = Code,
    responses((status = 200, body = Acknowledged)))]
pub async fn disable_factor(State(app): State<App>, caller: Caller, body: Body<Code>) -> Result<Response, Problem> {
    app.identity.disable_factor(&caller, &body.value.code).await?;
    Ok(acknowledged(StatusCode::OK, "second_factor_off"))
}

/// Shows the caller: party, role, scopes, and how it showed who it is.
#[utoipa::path(get, path = "/v1/users/me", tag = "auth", responses((status = 200, body = Me)))]
pub async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Me>, Problem> {
    let account = match app.identity.account_of(&caller).await {
        Ok(account) => Some(account),
        Err(problem) if problem.code() == ErrorCode::NotFound => None,
        Err(problem) => return Err(problem),
    };
    let (acr, auth_time) = match caller.authentication {
        Authentication::OperatorToken | Authentication::ApiKey { .. } => (None, None),
        Authentication::Signed { auth_time, second_factor } => {
            (Some(if second_factor { ACR_SECOND_FACTOR } else { ACR_PASSWORD }.to_owned()), auth_time)
        }
    };
    let email = match &account {
        Some(account) => app.identity.email_of(account).await?,
        None => None,
    };
    Ok(Json(Me {
        object: "user".to_owned(),
        party_id: caller.party_id.to_string(),
        role: caller.role.word().to_owned(),
        scopes: caller.scopes.words().into_iter().map(str::to_owned).collect(),
        acr,
        auth_time,
        email,
        second_factor: account.as_ref().map(|account| account.totp_confirmed),
        kind: account.map(|account| account.kind),
    }))
}

/// A document that whoever checks tokens may keep for a while; keys are published an hour before they sign.
fn cacheable(body: impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=900"));
    response
}

/// Shows the keys that access tokens are signed with.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth", responses((status = 200, body = PublicJwks)))]
pub async fn jwks(State(app): State<App>) -> Result<Response, Problem> {
    app.identity.require_built_in()?;
    Ok(cacheable(app.identity.keys().jwks(app.identity.now()).await?))
}

/// Tells clients what they have to know of the issuer.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "auth",
    responses((status = 200, body = IssuerDocument)))]
pub async fn discovery(State(app): State<App>) -> Result<Response, Problem> {
    app.identity.require_built_in()?;
    let issuer = app.identity.issuer();
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Ok(cacheable(IssuerDocument {
        issuer: issuer.to_owned(),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        token_endpoint: format!("{issuer}/v1/auth/refresh"),
        authorization_endpoint: format!("{issuer}/sign-in"),
        id_token_signing_alg_values_supported: list(&["EdDSA"]),
        subject_types_supported: list(&["public"]),
        response_types_supported: list(&["none"]),
        grant_types_supported: list(&["password", "refresh_token"]),
        acr_values_supported: list(&[ACR_PASSWORD, ACR_SECOND_FACTOR]),
        scopes_supported: list(crate::identity::scope::WORDS),
        claims_supported: list(&[
            "iss",
            "aud",
            "sub",
            "client_id",
            "iat",
            "nbf",
            "exp",
            "jti",
            "sid",
            "tenant",
            "roles",
            "scope",
            "auth_time",
            "amr",
            "acr",
        ]),
    }))
}
