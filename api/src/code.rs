//! Every stable error code of the API, with its HTTP status and title.

use axum::http::StatusCode;

macro_rules! codes {
    ($($variant:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// A stable error code. Clients branch on it; its problem type is `/problems/` and the code with dashes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $title] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code, with underscores.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it means, in a sentence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid access token is needed.";
    InsufficientUserAuthentication = "insufficient_user_authentication", UNAUTHORIZED, "Show again who you are.";
    InvalidCredentials = "invalid_credentials", BAD_REQUEST, "What was shown does not let you in.";
    InvalidCode = "invalid_code", BAD_REQUEST, "The code is not valid.";
    LinkNotValid = "link_not_valid", BAD_REQUEST, "The link or ticket was used, is too old, or is none.";
    MfaRequired = "mfa_required", FORBIDDEN, "A second factor is needed.";
    MfaWrongState = "mfa_wrong_state", CONFLICT, "The second factor is in another state.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests or attempts; wait.";
    Forbidden = "forbidden", FORBIDDEN, "The caller may not do this.";
    InsufficientScope = "insufficient_scope", FORBIDDEN, "The token was not made for this.";
    ApiKeyWrongState = "api_key_wrong_state", CONFLICT, "The key is in another state, or there are as many as can be.";
    NotFound = "not_found", NOT_FOUND, "There is no such thing, or the caller has no part in it.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not take this method.";
    NotAValidId = "not_a_valid_id", BAD_REQUEST, "An id in the path is malformed.";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "The request breaks a rule about its content.";
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request cannot be read.";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The body did not come in time.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has to be JSON.";
    IdempotencyKeyRequired = "idempotency_key_required", BAD_REQUEST, "This request needs an Idempotency-Key.";
    IdempotencyMismatch = "idempotency_mismatch", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another request.";
    IdempotencyInProgress = "idempotency_in_progress", CONFLICT, "The same request is being carried out.";
    IdempotencyExpired = "idempotency_expired", CONFLICT, "The request was carried out; its answer is no longer kept.";
    PreconditionRequired = "precondition_required", PRECONDITION_REQUIRED, "This request needs If-Match.";
    VersionMismatch = "version_mismatch", PRECONDITION_FAILED, "Somebody has changed the thing since.";
    ConflictRetry = "conflict_retry", CONFLICT, "Other requests were faster; try again.";
    ContractWrongState = "contract_wrong_state", CONFLICT, "The contract is in another state.";
    MilestoneWrongState = "milestone_wrong_state", CONFLICT, "The milestone is in another state.";
    OfferExpired = "offer_expired", CONFLICT, "The offer ran out before it was accepted.";
    MilestoneNotFunded = "milestone_not_funded", CONFLICT, "Nothing is held for the milestone.";
    MilestoneAlreadyApproved = "milestone_already_approved", CONFLICT, "The milestone was approved earlier.";
    MilestoneDisputed = "milestone_disputed", CONFLICT, "The milestone is in dispute.";
    ReviewWindowClosed = "review_window_closed", CONFLICT, "The review window closed before.";
    PaymentUnderWay = "payment_under_way", CONFLICT, "A payment is under way; wait for its end.";
    PayoutAccountExists = "payout_account_exists", CONFLICT, "The payee has an account at the payment provider.";
    PayoutAccountUnknown = "payout_account_unknown", UNPROCESSABLE_ENTITY, "The provider knows no such account of the payee's.";
    PartyRestricted = "party_restricted", CONFLICT, "The party is not paid at present.";
    SubjectErased = "subject_erased", GONE, "The person's data was erased.";
    NotRestricted = "not_restricted", CONFLICT, "The party is not restricted.";
    DestinationCooling = "destination_cooling", CONFLICT, "The payout destination has changed and is not used yet.";
    DestinationBlocked = "destination_blocked", CONFLICT, "The bank account does not take payouts; add another one.";
    DestinationRequired = "destination_required", UNPROCESSABLE_ENTITY, "The payee has no bank account for this currency.";
    PayoutAccountChanged = "payout_account_changed", CONFLICT, "The payee has linked another payout account meanwhile.";
    NegativePspBalance = "negative_psp_balance", CONFLICT, "Money is missing in the payee's account at the provider.";
    BelowMinimum = "below_minimum", UNPROCESSABLE_ENTITY, "Less than the least amount that is paid out.";
    PayoutWrongState = "payout_wrong_state", CONFLICT, "The payout is in another state.";
    FourEyesViolation = "four_eyes_violation", FORBIDDEN, "Somebody else has to approve it.";
    ApprovalWrongState = "approval_wrong_state", CONFLICT, "The approval request is in another state.";
    ExceedsPlatformSurplus = "exceeds_platform_surplus", UNPROCESSABLE_ENTITY, "More than the platform's own money.";
    AmendmentPending = "amendment_pending", CONFLICT, "Another amendment waits for an answer.";
    NotSupported = "not_supported", NOT_IMPLEMENTED, "This version does not have that.";
    ExceedsHeld = "exceeds_held", UNPROCESSABLE_ENTITY, "More was asked than is held.";
    ExceedsReleased = "exceeds_released", UNPROCESSABLE_ENTITY, "More would be given back than was released.";
    ChargeDisputed = "charge_disputed", CONFLICT, "A client's bank disagrees with the payment.";
    ChargebackWrongState = "chargeback_wrong_state", CONFLICT, "The chargeback is in another state.";
    EscrowFrozen = "escrow_frozen", CONFLICT, "Nothing may leave the escrow.";
    EscrowNotFrozen = "escrow_not_frozen", CONFLICT, "The escrow is not frozen.";
    ConsentRequired = "consent_required", CONFLICT, "Both parties have to agree.";
    BonusWindowClosed = "bonus_window_closed", UNPROCESSABLE_ENTITY, "The contract ended too long ago.";
    PayeeRefundWindowClosed = "payee_refund_window_closed", UNPROCESSABLE_ENTITY, "The release is too long ago.";
    InsufficientWalletBalance = "insufficient_wallet_balance", UNPROCESSABLE_ENTITY, "The wallet holds less.";
    PayeeInDebt = "payee_in_debt", CONFLICT, "Earnings pay off what the payee owes first.";
    RefundWrongState = "refund_wrong_state", CONFLICT, "The refund is in another state.";
    RefundNotRedirectable = "refund_not_redirectable", CONFLICT, "It is not certain that the refund's money is still here.";
    FundingWrongState = "funding_wrong_state", CONFLICT, "The funding is in another state.";
    InsufficientAvailable = "insufficient_available", UNPROCESSABLE_ENTITY, "More was asked than can be withdrawn.";
    PayoutAccountRequired = "payout_account_required", UNPROCESSABLE_ENTITY, "The payee has no payout account.";
    CurrencyMismatch = "currency_mismatch", UNPROCESSABLE_ENTITY, "The amount is in another currency.";
    UrlNotAllowed = "url_not_allowed", UNPROCESSABLE_ENTITY, "The URL is none that is asked from here.";
    AmountTooLarge = "amount_too_large", UNPROCESSABLE_ENTITY, "The amount is larger than can be handled.";
    InvalidSignature = "invalid_signature", BAD_REQUEST, "The webhook's signature is not valid.";
    ClockBackwards = "clock_backwards", UNPROCESSABLE_ENTITY, "A test clock only goes forward.";
    NotInTestMode = "not_in_test_mode", CONFLICT, "The tenant has no test clock.";
    ProjectionLagging = "projection_lagging", SERVICE_UNAVAILABLE, "The read model is not that far yet.";
    BooksRefused = "books_refused", INTERNAL_SERVER_ERROR, "The books refused the posting: a defect, nothing was written.";
    PspUnavailable = "psp_unavailable", SERVICE_UNAVAILABLE, "The payment provider cannot be reached.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service cannot answer now; try again.";
    InternalError = "internal_error", INTERNAL_SERVER_ERROR, "A defect of the service.";
}

impl ErrorCode {
    /// The code with this text.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}
