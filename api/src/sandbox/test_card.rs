//! Test payment methods (<https://docs.stripe.com/testing>), and what their banks say: one table, from which
//! `docs/test-cards.md` is written.
//!
//! # What is deliberately absent
//! Card numbers in requests: as at Stripe, a caller names a card by its token. The numbers of the table are those that
//! Stripe publishes for the same behaviour. Cards whose payments are disputed: `disputes` has its own.

/// A test payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TestCard {
    token: &'static str,
    /// Stripe's number for it: of a card, or of a bank account.
    number: &'static str,
    payment: Payment,
    refunds: Refunds,
    /// Whether its funds are available at once.
    available_at_once: bool,
    afterwards: Afterwards,
    /// For a reader of the table.
    says: &'static str,
}

/// How a payment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    Approved,
    Declined(Decline),
    /// Asks for the customer; then the bank says.
    Challenged {
        off_session: OffSession,
        then: Option<Decline>,
    },
    /// A bank debit: `processing` for days; then the bank says.
    Debited(DebitEnd),
}

/// What a card that asks for the customer does where he is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OffSession {
    Declined,
    Approved,
}

/// What the bank says of a debit after days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DebitEnd {
    Arrives,
    Fails(Decline),
    /// Nothing, ever.
    Silent,
}

/// What becomes of refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refunds {
    AtOnce,
    /// Pending first.
    Pending,
    /// They fail after they have succeeded.
    FailLater,
}

/// What the bank does right after a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    Nothing,
    /// Disputes it, for this reason.
    Disputes(&'static str),
    /// Asks about it, for this reason.
    Asks(&'static str),
    /// The network warns of fraud.
    Warns,
}

/// Why a bank says no, in Stripe's words (<https://docs.stripe.com/error-codes>, <https://docs.stripe.com/declines/codes>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decline {
    pub(super) code: &'static str,
    pub(super) decline_code: Option<&'static str>,
    pub(super) message: &'static str,
}

/// What the bank says when a payment is confirmed.
pub(super) enum Verdict {
    Approved,
    Declined(Decline),
    Challenge,
    Debit,
}

impl Decline {
    /// A failure that says nothing.
    pub(super) const UNKNOWN: Self = failed("payment_intent_payment_attempt_failed", "The payment failed.");
}

const fn declined(decline_code: &'static str, message: &'static str) -> Decline {
    Decline { code: "card_declined", decline_code: Some(decline_code), message }
}

const fn failed(code: &'static str, message: &'static str) -> Decline {
    Decline { code, decline_code: None, message }
}

const GENERIC: Decline = declined("generic_decline", "Your card was declined.");
const INSUFFICIENT_FUNDS: Decline = declined("insufficient_funds", "Your card has insufficient funds.");
const UNAUTHENTICATED: Decline = Decline {
    code: "authentication_required",
    decline_code: Some("authentication_required"),
    message: "Your card was declined. This transaction requires authentication.",
};

/// An ordinary payment method.
const fn card(token: &'static str, number: &'static str, payment: Payment, says: &'static str) -> TestCard {
    let (refunds, afterwards) = (Refunds::AtOnce, Afterwards::Nothing);
    TestCard { token, number, payment, refunds, available_at_once: false, afterwards, says }
}

const fn refusing(token: &'static str, number: &'static str, decline: Decline, says: &'static str) -> TestCard {
    card(token, number, Payment::Declined(decline), says)
}

const fn asking(token: &'static str, number: &'static str, then: Option<Decline>, says: &'static str) -> TestCard {
    card(token, number, Payment::Challenged { off_session: OffSession::Declined, then }, says)
}

/// A card whose payments succeed and are doubted.
const fn doubted(token: &'static str, number: &'static str, afterwards: Afterwards, says: &'static str) -> TestCard {
    TestCard { afterwards, ..card(token, number, Payment::Approved, says) }
}

/// A bank account. Its routing number is always 110000000.
const fn account(token: &'static str, number: &'static str, end: DebitEnd, says: &'static str) -> TestCard {
    card(token, number, Payment::Debited(end), says)
}

/// All of them, as the documentation lists them.
const TABLE: &[TestCard] = &[
    card("pm_card_visa", "4242424242424242", Payment::Approved, "succeeds"),
    TestCard {
        available_at_once: true,
        ..card(
            "pm_card_bypassPending",
            "4000000000000077",
            Payment::Approved,
            "succeeds; its funds are available at once",
        )
    },
    // Stripe's page has the longer name; both are in use.
    refusing("pm_card_visa_chargeDeclined", "4000000000000002", GENERIC, "declined, no reason given"),
    refusing("pm_card_chargeDeclined", "4000000000000002", GENERIC, "declined, no reason given"),
    refusing(
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "4000000000009995",
        INSUFFICIENT_FUNDS,
        "declined: insufficient funds",
    ),
    refusing(
        "pm_card_chargeDeclinedInsufficientFunds",
        "4000000000009995",
        INSUFFICIENT_FUNDS,
        "declined: insufficient funds",
    ),
    refusing(
        "pm_card_visa_chargeDeclinedLostCard",
        "4000000000009987",
        declined("lost_card", "Your card was declined."),
        "declined: lost",
    ),
    refusing(
        "pm_card_visa_chargeDeclinedStolenCard",
        "4000000000009979",
        declined("stolen_card", "Your card was declined."),
        "declined: stolen",
    ),
    refusing(
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "4000000000006975",
        declined("card_velocity_exceeded", "Your card was declined for making repeated attempts too frequently."),
        "declined: too often",
    ),
    refusing(
        "pm_card_chargeDeclinedExpiredCard",
        "4000000000000069",
        failed("expired_card", "Your card has expired."),
        "declined: expired",
    ),
    refusing(
        "pm_card_chargeDeclinedIncorrectCvc",
        "4000000000000127",
        failed("incorrect_cvc", "Your card's security code is incorrect."),
        "declined: wrong security code",
    ),
    refusing(
        "pm_card_chargeDeclinedProcessingError",
        "4000000000000119",
        failed("processing_error", "An error occurred while processing your card. Try again in a little bit."),
        "declined: the bank could not work on it",
    ),
    asking(
        "pm_card_authenticationRequired",
        "4000002760003184",
        None,
        "3-D Secure, always; succeeds when the customer completes it, expires when he never does",
    ),
    asking(
        "pm_card_authenticationRequiredOnSetup",
        "4000002500003155",
        None,
        "3-D Secure unless the card was set up before, which the sandbox has no way to do",
    ),
    TestCard {
        payment: Payment::Challenged { off_session: OffSession::Approved, then: None },
        ..asking(
            "pm_card_authenticationRequiredSetupForOffSession",
            "4000003800000446",
            None,
            "3-D Secure while the customer is there; succeeds without him",
        )
    },
    asking(
        "pm_card_threeDSecure2Required",
        "4000000000003220",
        None,
        "3-D Secure is required, and succeeds when completed",
    ),
    asking(
        "pm_card_threeDSecureRequiredChargeDeclined",
        "4000008400001629",
        Some(GENERIC),
        "3-D Secure is required; declined although completed",
    ),
    asking(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        Some(INSUFFICIENT_FUNDS),
        "3-D Secure, always; declined although completed: insufficient funds",
    ),
    refusing(
        "pm_card_threeDSecureRequiredProcessingError",
        "4000008400001280",
        GENERIC,
        "3-D Secure is required and cannot be asked for: declined",
    ),
    card(
        "pm_card_threeDSecureOptional",
        "4000000000003055",
        Payment::Approved,
        "3-D Secure is possible, not required: succeeds",
    ),
    TestCard {
        refunds: Refunds::Pending,
        ..card(
            "pm_card_pendingRefund",
            "4000000000007726",
            Payment::Approved,
            "succeeds; its refunds are pending first",
        )
    },
    TestCard {
        refunds: Refunds::FailLater,
        ..card(
            "pm_card_refundFail",
            "4000000000005126",
            Payment::Approved,
            "succeeds; its refunds fail after they have succeeded",
        )
    },
    doubted(
        "pm_card_createDispute",
        "4000000000000259",
        Afterwards::Disputes("fraudulent"),
        "succeeds, and is disputed as fraudulent",
    ),
    doubted(
        "pm_card_createDisputeProductNotReceived",
        "4000000000002685",
        Afterwards::Disputes("product_not_received"),
        "succeeds, and is disputed since nothing was received",
    ),
    doubted(
        "pm_card_createDisputeInquiry",
        "4000000000001976",
        Afterwards::Asks("fraudulent"),
        "succeeds, and the bank asks about it",
    ),
    doubted(
        "pm_card_createIssuerFraudRecord",
        "4000000000005423",
        Afterwards::Warns,
        "succeeds, and the network warns of fraud",
    ),
    account(
        "pm_usBankAccount_success",
        "000123456789",
        DebitEnd::Arrives,
        "bank debit: processing for days, then succeeds",
    ),
    account(
        "pm_usBankAccount_accountClosed",
        "000111111113",
        DebitEnd::Fails(failed("account_closed", "The bank account has been closed.")),
        "bank debit: processing, then fails: account closed",
    ),
    account(
        "pm_usBankAccount_noAccount",
        "000111111116",
        DebitEnd::Fails(failed("no_account", "The bank account could not be located.")),
        "bank debit: processing, then fails: no such account",
    ),
    account(
        "pm_usBankAccount_insufficientFunds",
        "000222222227",
        DebitEnd::Fails(failed("insufficient_funds", "The bank account has insufficient funds.")),
        "bank debit: processing, then fails: insufficient funds",
    ),
    account(
        "pm_usBankAccount_debitNotAuthorized",
        "000333333335",
        DebitEnd::Fails(failed(
            "debit_not_authorized",
            "The customer has told the bank that the debit is not authorized.",
        )),
        "bank debit: processing, then fails: not authorized",
    ),
    account("pm_usBankAccount_processing", "000000000009", DebitEnd::Silent, "bank debit: processing for ever"),
];

impl TestCard {
    pub(super) fn get(token: &str) -> Option<Self> {
        TABLE.iter().copied().find(|card| card.token == token)
    }

    pub(super) fn token(self) -> &'static str {
        self.token
    }

    pub(super) fn refunds(self) -> Refunds {
        self.refunds
    }

    pub(super) fn afterwards(self) -> Afterwards {
        self.afterwards
    }

    pub(super) fn available_at_once(self) -> bool {
        self.available_at_once
    }

    /// Whether it is a bank account and no card.
    pub(super) fn is_bank_account(self) -> bool {
        matches!(self.payment, Payment::Debited(_))
    }

    pub(super) fn verdict(self, off_session: bool) -> Verdict {
        match self.payment {
            Payment::Approved => Verdict::Approved,
            Payment::Declined(decline) => Verdict::Declined(decline),
            Payment::Challenged { off_session: OffSession::Declined, .. } if off_session => {
                Verdict::Declined(UNAUTHENTICATED)
            }
            Payment::Challenged { off_session: OffSession::Approved, .. } if off_session => Verdict::Approved,
            Payment::Challenged { .. } => Verdict::Challenge,
            Payment::Debited(_) => Verdict::Debit,
        }
    }

    /// Why the bank says no after the customer has answered; `None` when it says yes.
    pub(super) fn declined_after_challenge(self) -> Option<Decline> {
        match self.payment {
            Payment::Challenged { then, .. } => then,
            _ => None,
        }
    }

    /// What a bank says under this code: of a decline, or else of an error.
    pub(super) fn decline_of(code: &str) -> Option<Decline> {
        let of = |card: &Self| match card.payment {
            Payment::Declined(decline)
            | Payment::Challenged { then: Some(decline), .. }
            | Payment::Debited(DebitEnd::Fails(decline)) => Some(decline),
            _ => None,
        };
        TABLE.iter().filter_map(of).find(|decline| decline.decline_code.unwrap_or(decline.code) == code)
    }

    /// How a debit of it ends.
    pub(super) fn debit_end(self) -> DebitEnd {
        match self.payment {
            Payment::Debited(end) => end,
            _ => DebitEnd::Silent,
        }
    }

    /// The last digits of the number that Stripe publishes for a token; of an unknown token those of the ordinary card.
    pub(super) fn last4_of(token: &str) -> &'static str {
        let number = Self::get(token).map_or("4242", |card| card.number);
        number.len().checked_sub(4).and_then(|start| number.get(start..)).unwrap_or(number)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The page of the documentation that lists them.
    fn page() -> String {
        let mut page = String::from(
            "# Test payment methods of the built-in provider\n\n\
             Written from `api/src/sandbox/test_card.rs` by `UPDATE_TEST_CARDS=1 cargo test -p api --lib test_card`; the same test\n\
             fails when this page is not true. The names and numbers are those of <https://docs.stripe.com/testing> and\n\
             <https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment#test-your-integration>. Requests name the\n\
             token; a number is never sent.\n\n| Token | Number | What happens |\n|---|---|---|\n",
        );
        for card in TABLE {
            // Writing to a string does not fail.
            let _ = writeln!(page, "| `{}` | {} | {} |", card.token, card.number, card.says);
        }
        page
    }

    #[test]
    fn no_token_is_there_twice_and_all_end_in_digits() {
        for (index, card) in TABLE.iter().enumerate() {
            assert!(TABLE[index + 1..].iter().all(|other| other.token != card.token), "{}", card.token);
            assert!(TestCard::last4_of(card.token).bytes().all(|digit| digit.is_ascii_digit()), "{}", card.token);
        }
        assert_eq!(TestCard::last4_of("pm_unknown"), "4242");
    }

    /// `UPDATE_TEST_CARDS=1` writes the page.
    #[test]
    fn the_documentation_lists_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/test-cards.md");
        if std::env::var_os("UPDATE_TEST_CARDS").is_some() {
            std::fs::write(file, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), page(), "docs/test-cards.md: UPDATE_TEST_CARDS=1 writes it");
    }
}
