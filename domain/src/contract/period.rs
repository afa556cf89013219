//! Periods of a contract that its policy does not fix yet: the defaults of the specification's table of deadlines.
//!
//! # Invariants
//! - Every deadline is computed once, when the event that starts it is made, and stored in that event: changing a number
//!   here changes no deadline that is running.

/// Days after acceptance within which the first money has to arrive (`first_funding`).
pub const FIRST_FUNDING_DAYS: u16 = 14;

/// Days that the other side has to answer a proposed amendment; the same as for an offer.
pub const AMENDMENT_EXPIRY_DAYS: u16 = 7;

/// Days that the payee has to answer the client's wish to end the contract (`end_request`).
pub const END_REQUEST_DAYS: u16 = 7;

/// Days that the payee has to answer the client's wish for a refund (`refund_request`).
pub const REFUND_REQUEST_DAYS: u16 = 7;

/// Days by which a deadline moves while a payment is under way; a payment that was begun ends within about a day
/// (`funding_intent`).
pub const PAYMENT_UNDER_WAY_DAYS: u16 = 1;

/// Days without activity after which the parties are warned the first time (`dormancy`).
pub const DORMANCY_FIRST_WARNING_DAY: u16 = 76;

/// Days without activity after which they are warned the second time.
pub const DORMANCY_SECOND_WARNING_DAY: u16 = 83;

/// Days without activity after which a contract is dormant.
pub const DORMANCY_DAY: u16 = 90;

/// Days that the client of a dormant contract has to act.
pub const DORMANT_CLIENT_DAYS: u16 = 7;

/// Days that the payee of a dormant contract then has to ask for a release.
pub const DORMANT_PAYEE_DAYS: u16 = 7;

/// Days that the client has to answer that.
pub const DORMANT_RELEASE_DAYS: u16 = 14;
