//! The second factor: codes from an app (TOTP, RFC 6238), and recovery codes for when it is lost.
//!
//! # Invariants
//! - A code is taken once: its 30-second step is remembered, and only later ones are taken.
//! - A recovery code is taken once; they are shown once, and kept as hashes.
//! - Wrong codes are counted for the account; whoever gets that far has shown the password.

use adapters::postgres::identity::account::{self, Account};
use adapters::postgres::identity::factor;
use serde::Serialize;
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;

use super::Identity;
use super::mails::Letter;
use super::seal::{Purpose, random, secret_hash};
use super::throttle::Counter;
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Recovery codes that are given.
const RECOVERY_CODES: usize = 10;

/// Digits and letters without those that look alike (Crockford).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an app is set up with. Shown once.
#[derive(Clone, Serialize, ToSchema)]
pub struct Enrolment {
    /// The secret in base 32, to be typed.
    pub secret: String,
    /// The same as a link for apps and QR codes.
    pub otpauth_url: String,
}

/// Recovery codes. Shown once.
#[derive(Clone, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each is good once, in place of a code from the app.
    pub recovery_codes: Vec<String>,
}

impl Identity {
    /// Begins to set up a second factor; it is none until [`Self::confirm_factor`]. Asked again, there is a new secret.
    ///
    /// # Errors
    /// `mfa_wrong_state` when there is one; `not_found` for callers without an account here.
    pub async fn enrol_factor(&self, caller: &Caller) -> Result<Enrolment, Problem> {
        let account = self.account_of(caller).await?;
        let secret: [u8; 20] = random();
        // An app shows whose code it is; a link without a name is none.
        let name = self.email_of(&account).await?.unwrap_or_else(|| account.party_id.to_string());
        let totp = totp(secret, &name)?;
        let sealed = self.master.seal(Purpose::Totp, account.account_id.as_bytes(), &secret);
        if !factor::propose(&self.pool, account.account_id, &sealed).await? {
            return Err(Problem::new(ErrorCode::MfaWrongState, "there is a second factor already"));
        }
        let otpauth_url = totp.to_url().map_err(|_| defect())?;
        Ok(Enrolment { secret: totp.secret().to_base32(), otpauth_url })
    }

    /// Turns the second factor on, with a code that shows that the app works.
    ///
    /// # Errors
    /// `invalid_code`, `mfa_wrong_state`, `rate_limited`.
    pub async fn confirm_factor(&self, caller: &Caller, code: &str) -> Result<RecoveryCodes, Problem> {
        let account = self.account_of(caller).await?;
        let wrong_state = || Problem::new(ErrorCode::MfaWrongState, "there is nothing to confirm");
        let sealed = account.totp_sealed.as_deref().filter(|_| !account.totp_confirmed).ok_or_else(wrong_state)?;
        let counter = Counter::Factor(account.account_id);
        self.attempt(&counter).await?;
        let step = self.step_of(&account, code)?.ok_or_else(wrong_code)?;
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes: Vec<[u8; 32]> = codes.iter().map(|code| recovery_hash(code)).collect();
        if !factor::confirm(&self.pool, account.account_id, sealed, step, &hashes, self.now()).await? {
            return Err(wrong_state());
        }
        self.clear(&counter).await?;
        if let Some(email) = self.email_of(&account).await? {
            self.mail(email, Letter::SecondFactor { on: true });
        }
        Ok(RecoveryCodes { recovery_codes: codes })
    }

    /// Turns the second factor off, with a code: a stolen session cannot.
    ///
    /// # Errors
    /// `invalid_code`, `mfa_wrong_state`, `rate_limited`.
    pub async fn disable_factor(&self, caller: &Caller, code: &str) -> Result<(), Problem> {
        let account = self.account_of(caller).await?;
        if !account.totp_confirmed {
            return Err(Problem::new(ErrorCode::MfaWrongState, "there is no second factor"));
        }
        self.check_factor(&account, code).await?;
        factor::disable(&self.pool, account.account_id).await?;
        if let Some(email) = self.email_of(&account).await? {
            self.mail(email, Letter::SecondFactor { on: false });
        }
        Ok(())
    }

    /// The account of a caller who signed in here.
    ///
    /// # Errors
    /// `not_found`; the store's.
    pub async fn account_of(&self, caller: &Caller) -> Result<Account, Problem> {
        self.require_built_in()?;
        account::by_party(&self.pool, caller.party_id).await?.ok_or_else(Problem::not_found)
    }

    /// Takes a code from the app, or a recovery code. Returns its word in `amr`.
    pub(super) async fn check_factor(&self, account: &Account, code: &str) -> Result<&'static str, Problem> {
        let counter = Counter::Factor(account.account_id);
        self.attempt(&counter).await?;
        let taken = if let Some(step) = self.step_of(account, code)? {
            factor::take_step(&self.pool, account.account_id, step).await?.then_some("otp")
        } else {
            let hash = recovery_hash(code);
            factor::take_recovery(&self.pool, account.account_id, &hash, self.now()).await?.then_some("kba")
        };
        let method = taken.ok_or_else(wrong_code)?;
        self.clear(&counter).await?;
        Ok(method)
    }

    /// The step whose code this is, now or one step either way.
    fn step_of(&self, account: &Account, code: &str) -> Result<Option<i64>, Problem> {
        let sealed = account.totp_sealed.as_deref().unwrap_or_default();
        let secret = self.master.open(Purpose::Totp, account.account_id.as_bytes(), sealed);
        let secret: [u8; 20] = secret.and_then(|secret| secret.try_into().ok()).ok_or_else(defect)?;
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let seconds = u64::try_from(self.now().timestamp()).unwrap_or(0);
        let step = totp(secret, "")?.check(&digits, seconds);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }
}

fn wrong_code() -> Problem {
    Problem::new(ErrorCode::InvalidCode, "the code is wrong, too old, or was used before")
}

fn defect() -> Problem {
    Problem::new(ErrorCode::InternalError, "a TOTP secret cannot be used")
}

/// SHA-1, six digits, 30 seconds, one step of skew: what every app knows.
fn totp(secret: [u8; 20], account_name: &str) -> Result<Totp, Problem> {
    let name = account_name.replace(':', "");
    let built = Builder::new()
        .with_secret(Secret::new(Box::new(secret)))
        .with_skew(1)
        .with_account_name(name)
        .with_issuer(Some("Earnest"))
        .build();
    built.map_err(|_| defect())
}

/// 80 bits, in four groups.
fn recovery_code() -> String {
    let digits: Vec<char> = random::<16>()
        .iter()
        .map(|byte| char::from(ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'0')))
        .collect();
    digits.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// The hash of a recovery code, however it was typed.
fn recovery_hash(code: &str) -> [u8; 32] {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    secret_hash(&plain.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let totp = totp(*b"12345678901234567890", "").unwrap();
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(totp.generate(seconds).to_string(), code);
            assert_eq!(totp.check(code, seconds), Some(seconds / 30));
            assert_eq!(totp.check(code, seconds + 90), None);
        }
    }

    #[test]
    fn a_recovery_code_may_be_typed_in_any_way() {
        let code = recovery_code();
        assert_eq!(code.len(), 19);
        assert_eq!(recovery_hash(&code), recovery_hash(&code.replace('-', " ").to_uppercase()));
        assert_ne!(recovery_hash(&code), recovery_hash(&recovery_code()));
    }
}
