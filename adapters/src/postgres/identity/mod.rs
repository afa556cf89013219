//! What the built-in issuer and the links to other issuers keep. Thin: no rule is decided here.
//!
//! # Invariants
//! - Instants are given by the caller: nothing here reads a clock.
//! - No token, password or address is stored in clear: the caller brings hashes and ciphertext.
//! - What may happen once (a ticket, a code, a refresh token) is taken by one statement, so that of two who race one wins.

pub mod account;
pub mod api_key;
pub mod attempts;
pub mod external;
pub mod factor;
pub mod key;
pub mod registration;
pub mod rewrap;
pub mod session;
pub mod step_up;
pub mod subject_key;
pub mod ticket;
