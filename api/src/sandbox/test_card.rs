//! Test payment methods (<https://docs.stripe.com/testing>), and what their banks say.
//!
//! # What is deliberately absent
//! Card numbers: as at Stripe, a caller names a card by its token.

/// A test payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TestCard {
    Visa,
    /// Its funds are available at once.
    BypassPending,
    ChargeDeclined,
    AuthenticationRequired,
    /// Asks for the customer unless it was set up before, which the sandbox has no way to do.
    AuthenticationRequiredOnSetup,
    /// Its refunds are pending first.
    PendingRefund,
    /// Its refunds fail after they have succeeded.
    RefundFail,
}

/// What the card's bank says.
pub(super) enum Verdict {
    Approved,
    Declined { code: &'static str, decline_code: &'static str, message: &'static str },
    Challenge,
}

impl TestCard {
    const ALL: [Self; 7] = [
        Self::Visa,
        Self::BypassPending,
        Self::ChargeDeclined,
        Self::AuthenticationRequired,
        Self::AuthenticationRequiredOnSetup,
        Self::PendingRefund,
        Self::RefundFail,
    ];

    pub(super) fn get(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|card| card.token() == token)
    }

    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Visa => "pm_card_visa",
            Self::BypassPending => "pm_card_bypassPending",
            Self::ChargeDeclined => "pm_card_chargeDeclined",
            Self::AuthenticationRequired => "pm_card_authenticationRequired",
            Self::AuthenticationRequiredOnSetup => "pm_card_authenticationRequiredOnSetup",
            Self::PendingRefund => "pm_card_pendingRefund",
            Self::RefundFail => "pm_card_refundFail",
        }
    }

    pub(super) fn verdict(self, off_session: bool) -> Verdict {
        match self {
            Self::Visa | Self::BypassPending | Self::PendingRefund | Self::RefundFail => Verdict::Approved,
            Self::ChargeDeclined => Verdict::Declined {
                code: "card_declined",
                decline_code: "generic_decline",
                message: "Your card was declined.",
            },
            Self::AuthenticationRequired | Self::AuthenticationRequiredOnSetup if off_session => Verdict::Declined {
                code: "authentication_required",
                decline_code: "authentication_required",
                message: "Your card was declined. This transaction requires authentication.",
            },
            Self::AuthenticationRequired | Self::AuthenticationRequiredOnSetup => Verdict::Challenge,
        }
    }

    /// The last digits of the card numbers that Stripe publishes for these tokens; of an unknown token those of the
    /// ordinary card.
    pub(super) fn last4_of(token: &str) -> &'static str {
        match Self::get(token) {
            Some(Self::AuthenticationRequired) => "3184",
            Some(Self::AuthenticationRequiredOnSetup) => "3155",
            Some(Self::BypassPending) => "0077",
            Some(Self::ChargeDeclined) => "0002",
            Some(Self::PendingRefund) => "7726",
            Some(Self::RefundFail) => "5126",
            Some(Self::Visa) | None => "4242",
        }
    }
}
