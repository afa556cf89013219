//! What is tried with fundings, refunds, payee accounts, payouts, wallets and parties.

use chrono::TimeDelta;
use domain::escrow::{Allocation, ChargeRef, Deposit, Gratuity, GratuityKind, PaidFrom, PspPlace};
use domain::event::DomainEvent;
use domain::exchange::Settled;
use domain::funding::{Funding, FundingCommand as F, Order, Purpose, SuspenseReason};
use domain::id::{
    ChargebackId, ContractId, EventId, FundingId, MilestoneId, OnboardingLinkId, PayoutId, RefundId, ReleaseId,
    TransferReversalId,
};
use domain::jurisdiction::Jurisdiction;
use domain::pair::{Pair, PairCommand as B, PairId};
use domain::party::{
    AccountEnd, AccountStatus, BankDestination, Party, PartyCommand as Y, PayeeStanding, PayoutAccount, Requirements,
    Shortfall, Standing,
};
use domain::payee::{HoldReason, PayeeAccount, PayeeCommand as P, PayeeEvent};
use domain::payout::{ApprovalCause, Payout, PayoutCommand as O, PayoutPolicy, PayoutSchedule, Withdrawal};
use domain::ports::provider::Receipt;
use domain::refund::{Refund, RefundCommand as R, RefundOrder};
use domain::subject::{AccessPurpose, PersonalField, Subject, SubjectCommand as J};
use domain::wallet::{ClientWallet, CreditCause, WalletCommand as W, WalletEvent};
use ledger::Currency;

use super::explore::{Found, Tried, client_id, explore, explore_named, id, minor, now, payee_id};

const WORTH: i64 = 100_000;

fn place(account: &str) -> PspPlace {
    PspPlace { psp: "stripe".to_owned(), psp_account: account.to_owned() }
}

fn contract_id() -> ContractId {
    ContractId::from_uuid(id(3))
}

fn funding_id() -> FundingId {
    FundingId::from_uuid(id(6))
}

fn gratuity(kind: GratuityKind) -> Gratuity {
    Gratuity {
        kind,
        gross: minor(WORTH),
        payee_fee: minor(0),
        net: minor(WORTH),
        client_fee: minor(0),
        withheld: None,
        taxes: Vec::new(),
        surplus_to_wallet: minor(0),
        clearance_days: 5,
    }
}

pub fn funding() -> Found {
    let order = |purpose| Order {
        funding_id: funding_id(),
        contract_id: Some(contract_id()),
        client_id: client_id(),
        currency: Currency::USD,
        allocations: vec![Allocation {
            milestone_id: MilestoneId::from_uuid(id(4)),
            amount: minor(WORTH),
            client_fee: minor(5000),
        }],
        charge: minor(WORTH + 5000),
        payment_method: "pm_card_visa".to_owned(),
        place: place("platform"),
        purpose,
        expires_at: Some(now()),
    };
    let bonus = Purpose::Gratuity { payee_id: payee_id(), gratuity: Box::new(gratuity(GratuityKind::Bonus)) };
    let succeeded = |captured, currency| F::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(captured),
        currency,
        collected_at: now(),
        settled: None,
    };
    let receipt = |available| F::RecordReceipt {
        receipt: Receipt {
            balance_transaction_ref: "txn_1".to_owned(),
            fee: minor(3075),
            net: minor(101_925),
            currency: Currency::USD,
            booked_on: now().date_naive(),
            available_on: now(),
            available,
        },
    };
    let euros = |amount| Settled { amount: minor(amount), currency: Currency::EUR };
    let settled_in_euros = F::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(WORTH + 5000),
        currency: Currency::USD,
        collected_at: now(),
        settled: Some(euros(97_000)),
    };
    let exchanged_receipt = F::RecordReceipt {
        receipt: Receipt {
            balance_transaction_ref: "txn_1".to_owned(),
            fee: minor(2800),
            net: minor(94_200),
            currency: Currency::EUR,
            booked_on: now().date_naive(),
            available_on: now(),
            available: false,
        },
    };
    let refund_exchange = |came_back| F::RecordRefundExchange {
        refund_id: RefundId::from_uuid(id(8)),
        amount: minor(WORTH + 5000),
        currency: Currency::USD,
        settled: euros(98_000),
        came_back,
    };
    let chargeback_exchange = |came_back| F::RecordChargebackExchange {
        chargeback_id: ChargebackId::from_uuid(id(9)),
        amount: minor(WORTH + 5000),
        currency: Currency::USD,
        settled: euros(98_000),
        came_back,
    };
    let commands = vec![
        F::Create { order: order(Purpose::Escrow) },
        F::Create { order: order(bonus) },
        F::TopUp {
            funding_id: funding_id(),
            client_id: client_id(),
            currency: Currency::USD,
            amount: minor(WORTH + 5000),
            payment_method: "pm_card_visa".to_owned(),
        },
        F::LinkPayment { payment_ref: "pi_1".to_owned() },
        F::RecordActionRequired,
        F::RecordProcessing,
        F::RecordFailed { code: "card_declined".to_owned() },
        succeeded(WORTH + 5000, Currency::USD),
        succeeded(WORTH, Currency::USD),
        succeeded(WORTH + 5000, Currency::EUR),
        settled_in_euros,
        exchanged_receipt,
        refund_exchange(false),
        refund_exchange(true),
        chargeback_exchange(false),
        chargeback_exchange(true),
        receipt(false),
        receipt(true),
        F::SuspendReceipt { reason: SuspenseReason::NotHoldable },
        F::ReturnLateReceipt,
        F::RecordReturned {
            amount: minor(WORTH + 5000),
            currency: Currency::USD,
            balance_transaction_ref: "txn_2".to_owned(),
            booked_on: now().date_naive(),
            code: "insufficient_funds".to_owned(),
            settled: None,
        },
        F::RecordReturned {
            amount: minor(WORTH + 5000),
            currency: Currency::USD,
            balance_transaction_ref: "txn_2".to_owned(),
            booked_on: now().date_naive(),
            code: "insufficient_funds".to_owned(),
            settled: Some(euros(97_000)),
        },
        F::RecordLateReturn { amount: minor(WORTH) },
        F::Cancel,
        F::CallOff,
        F::Expire,
        F::BlockTimer { key: "funding_intent".to_owned(), reason: "internal_error".to_owned() },
    ];
    explore::<Funding>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Funding })
}

pub fn refund() -> Found {
    let charge = ChargeRef { payment_ref: "pi_1".to_owned(), charge_ref: "ch_1".to_owned(), place: place("platform") };
    let order = |charge, paid_from| RefundOrder {
        refund_id: RefundId::from_uuid(id(11)),
        contract_id: Some(contract_id()),
        client_id: client_id(),
        funding_id: Some(funding_id()),
        amount: minor(WORTH),
        currency: Currency::USD,
        charge,
        paid_from,
        asked_before: 0,
    };
    let refund_ref = || "re_1".to_owned();
    let commands = vec![
        R::Request { order: order(Some(charge), PaidFrom::Provider) },
        R::Request { order: order(None, PaidFrom::Provider) },
        R::Request { order: order(None, PaidFrom::Wallet) },
        R::RecordSubmitted { refund_ref: refund_ref() },
        R::RecordLackOfFunds,
        R::RecordSucceeded { refund_ref: refund_ref(), balance_transaction_ref: None, taken: None },
        R::RecordFailed { code: "declined".to_owned(), came_back: None },
        R::RecordSucceeded {
            refund_ref: refund_ref(),
            balance_transaction_ref: None,
            taken: Some(Settled { amount: minor(1), currency: Currency::EUR }),
        },
        R::RecordCancelled,
        R::RecordRefused { code: "charge_disputed".to_owned() },
        R::RecordRefused { code: "declined".to_owned() },
        R::RedirectToWallet,
        R::AskAgain,
        R::RecordPaymentTaken,
    ];
    explore::<Refund>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Refund })
}

/// Under a standing it is the same command.
fn inside(command: &P) -> &P {
    match command {
        P::Under { command, .. } => command,
        other => other,
    }
}

pub fn payee() -> Found {
    let (payee_id, currency) = (payee_id(), Currency::USD);
    let release_id = ReleaseId::from_uuid(id(7));
    let (payout_id, source_event_id) = (PayoutId::from_uuid(id(8)), EventId::from_uuid(id(70)));
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() };
    let reversal_id = TransferReversalId::from_uuid(id(22));
    let mut commands = vec![
        P::Clear { release_id },
        P::ReservePayout {
            payee_id,
            currency,
            payout_id,
            amount: minor(WORTH),
            account: PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
        },
        P::Hold { payee_id, currency, amount: None, reason: HoldReason::Kyc },
        P::ReleaseHold { payee_id, currency, amount: None, reason: HoldReason::Kyc },
        P::GrantRefund {
            refund_id: RefundId::from_uuid(id(11)),
            payee_id,
            contract_id: contract_id(),
            client_id: client_id(),
            currency,
            gross: minor(WORTH),
            payee_fee: minor(0),
            client_fee: minor(0),
            payee_tax: None,
            client_tax: None,
            from_payee: minor(WORTH),
            parts: Vec::new(),
        },
        P::ChargeLoss {
            chargeback_id: ChargebackId::from_uuid(id(14)),
            funding_id: funding_id(),
            payee_id,
            contract_id: contract_id(),
            client_id: client_id(),
            currency,
            gross: minor(WORTH),
            payee_fee: minor(0),
            client_fee: minor(0),
            payee_tax: None,
            client_tax: None,
            from_payee: minor(WORTH),
        },
        P::WriteOffDebt { payee_id, currency, cause: ChargebackId::from_uuid(id(14)).to_string(), amount: None },
        P::HoldAtClearance { payee_id, currency, contract_id: contract_id(), reason: HoldReason::Fraud },
        P::RetryPayout {
            payee_id,
            currency,
            payout_id: PayoutId::from_uuid(id(18)),
            retry_of: payout_id,
            amount: minor(WORTH),
            account: account.clone(),
        },
        P::SetPayoutSchedule { payee_id, currency, schedule: PayoutSchedule::Daily, minimum: minor(0) },
        P::SetPayoutPolicy {
            payee_id,
            currency,
            policy: PayoutPolicy { pays_debtors: true, ..PayoutPolicy::default() },
        },
        P::HoldForStanding { payee_id, currency, reason: HoldReason::Sanctions },
        P::LetGo { payee_id, currency, reason: HoldReason::Sanctions },
        P::SetOffDebts { payee_id, currency },
        P::CallBack { payee_id, currency, psp_account: "acct_1".to_owned() },
        P::BlockTimer { key: release_id.to_string(), reason: "internal_error".to_owned() },
    ];
    for kind in [GratuityKind::Bonus, GratuityKind::Tip] {
        commands.push(P::RecordGratuity {
            payee_id,
            client_id: client_id(),
            contract_id: contract_id(),
            funding_id: funding_id(),
            currency,
            gratuity: gratuity(kind),
            place: place("platform"),
        });
    }
    for restrictions in [Vec::new(), vec![domain::party::Restriction::Staff]] {
        let standing = Standing { restrictions: restrictions.into_iter().collect(), ..Standing::default() };
        let standing = Box::new(PayeeStanding { account: Some(account.clone()), standing });
        for command in [P::Clear { release_id }, P::PayBySchedule { payee_id, currency }] {
            commands.push(P::Under { standing: standing.clone(), command: Box::new(command) });
        }
    }
    let amount = minor(WORTH);
    let notes = vec![
        PayeeEvent::LateTransferNoted { payee_id, payout_id, source_event_id, amount },
        PayeeEvent::PayoutReservationReleased { payee_id, payout_id, source_event_id, amount },
        PayeeEvent::TransferReversedNoted { payee_id, payout_id, reversal_id, source_event_id, amount },
        PayeeEvent::TransferReversalFailedNoted { payee_id, payout_id, reversal_id, source_event_id },
        PayeeEvent::EarningsCredited {
            payee_id,
            release_id,
            source_event_id,
            contract_id: contract_id(),
            amount,
            currency,
            clears_at: now(),
        },
        PayeeEvent::PayoutPaidNoted { payee_id, payout_id, source_event_id, amount },
        PayeeEvent::PayoutFailedNoted {
            payee_id,
            payout_id,
            source_event_id,
            amount,
            left_at_provider: minor(0),
            returned: false,
        },
        PayeeEvent::LateTransferNoted { payee_id, payout_id, source_event_id, amount: minor(0) },
    ];
    let left = PayeeEvent::PayoutFailedNoted {
        payee_id,
        payout_id,
        source_event_id,
        amount,
        left_at_provider: amount,
        returned: false,
    };
    let earned = notes.iter().filter(|note| matches!(note, PayeeEvent::EarningsCredited { .. })).cloned();
    let back_notes = earned.chain([left]).collect();
    let goes_back = |command: &&P| matches!(command, P::Clear { .. } | P::ReservePayout { .. } | P::CallBack { .. });
    let back = commands.iter().filter(goes_back).cloned().collect();
    let of =
        |commands, notes| explore_named::<PayeeAccount>(&Tried { commands, notes, wrap: DomainEvent::Payee }, inside);
    of(commands, notes).and(of(back, back_notes))
}

pub fn payout() -> Found {
    let withdrawal = |transfer| Withdrawal {
        payout_id: PayoutId::from_uuid(id(8)),
        payee_id: payee_id(),
        amount: minor(WORTH),
        transfer_amount: minor(transfer),
        currency: Currency::USD,
        place: place("acct_1"),
    };
    let reversal_id = TransferReversalId::from_uuid(id(22));
    let commands = vec![
        O::Request { withdrawal: withdrawal(WORTH) },
        O::Request { withdrawal: withdrawal(0) },
        O::RequestApproval { withdrawal: withdrawal(WORTH), cause: ApprovalCause::AboveThreshold },
        O::RequestApproval { withdrawal: withdrawal(0), cause: ApprovalCause::AboveThreshold },
        O::Approve,
        O::Cancel,
        O::RecordLackOfFunds,
        O::RecordTransferConverted {
            transfer_ref: "tr_1".to_owned(),
            amount: minor(WORTH),
            taken: minor(WORTH),
            taken_currency: Currency::EUR,
        },
        O::ReverseTransfer { reversal_id, amount: minor(WORTH) },
        O::RecordReversed { reversal_id, reversal_ref: "trr_1".to_owned() },
        O::RecordReversalFailed { reversal_id, code: "insufficient_funds".to_owned() },
        O::RecordPspFee { balance_transaction_ref: "txn_3".to_owned(), fee: minor(25) },
        O::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(WORTH) },
        O::RecordSubmitted { bank_payout_ref: "po_1".to_owned(), arrival_at: now() },
        O::RecordPaid { bank_payout_ref: "po_1".to_owned() },
        O::RecordFailed { code: "account_closed".to_owned() },
        O::Withhold { code: "destination_cooling".to_owned() },
    ];
    explore::<Payout>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Payout })
}

pub fn wallet() -> Found {
    let (client_id, currency, amount) = (client_id(), Currency::USD, minor(WORTH));
    let chargeback_id = ChargebackId::from_uuid(id(12));
    let (cause, source_event_id) = (CreditCause::RefundFailed, EventId::from_uuid(id(70)));
    let of = Some(funding_id());
    let refund = W::RecordRefund { client_id, amount, currency, cause, source_event_id, funding_id: of };
    let commands = vec![
        W::RecordTopUp { client_id, funding_id: funding_id(), amount, currency, place: place("platform") },
        W::PayEscrow {
            client_id,
            contract_id: contract_id(),
            funding_id: funding_id(),
            currency,
            amount,
            allocations: Vec::new(),
            deposit: Deposit { amount, client_fee: minor(0) },
            initiation_fee: minor(0),
            tax: None,
        },
        W::Withdraw { client_id, currency, refund_id: RefundId::from_uuid(id(11)), amount },
        W::RecordReturn { client_id, funding_id: funding_id(), amount, currency, place: place("platform") },
        W::HoldForChargeback { client_id, currency, chargeback_id, amount },
        W::HoldForChargeback { client_id, currency, chargeback_id, amount: minor(0) },
        W::AbsorbChargeback { client_id, currency, chargeback_id, funding_id: funding_id(), amount },
        refund,
        W::HoldRefunds { client_id, currency, chargeback_id, funding_id: funding_id(), amount },
        W::HoldRefunds { client_id, currency, chargeback_id, funding_id: funding_id(), amount: minor(0) },
        W::ReclaimRefunds { client_id, currency, chargeback_id: None, funding_id: funding_id(), amount },
        W::ReclaimRefunds { client_id, currency, chargeback_id: Some(chargeback_id), funding_id: funding_id(), amount },
    ];
    let notes = vec![WalletEvent::Credited { client_id, amount, currency, cause, source_event_id, funding_id: None }];
    explore::<ClientWallet>(&Tried { commands, notes, wrap: DomainEvent::Wallet })
}

pub fn pair() -> Found {
    let pair = PairId { client_id: client_id(), payee_id: payee_id(), currency: Currency::USD };
    let release_id = ReleaseId::from_uuid(id(7));
    let commands = vec![B::Bill { pair, contract_id: contract_id(), release_id, gross: minor(100) }];
    explore::<Pair>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Pair })
}

pub fn subject() -> Found {
    let (purpose, fields) = (AccessPurpose::SupportRequest, vec![PersonalField::Email]);
    let commands = vec![J::RecordAccess { subject_id: payee_id(), purpose, fields }];
    explore::<Subject>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Subject })
}

pub fn party() -> Found {
    let party_id = payee_id();
    let account = |number| PayoutAccount { psp: "stripe".to_owned(), psp_account: format!("acct_{number}") };
    let currency = Currency::USD;
    let status = |hours, transfers_enabled, fingerprint: &str, shortfall: Option<i64>, end| Y::RecordAccount {
        party_id,
        psp: "stripe".to_owned(),
        status: AccountStatus {
            psp_account: "acct_1".to_owned(),
            told_at: now() + TimeDelta::hours(hours),
            requirements: Requirements { transfers_enabled, payouts_enabled: true, ..Requirements::default() },
            destinations: vec![BankDestination { currency, fingerprint: fingerprint.to_owned() }],
            shortfalls: shortfall.map(|amount| Shortfall { currency, amount: minor(amount) }).into_iter().collect(),
            end,
        },
    };
    let commands = vec![
        Y::Register { party_id },
        Y::LinkPayoutAccount { party_id, account: account(1) },
        Y::LinkPayoutAccount { party_id, account: account(2) },
        Y::RequestPspAccount { party_id, psp: "stripe".to_owned(), country: Jurisdiction::new("DE").unwrap() },
        Y::RequestOnboardingLink { party_id, link_id: OnboardingLinkId::from_uuid(id(23)) },
        status(1, true, "f1", None, None),
        status(2, false, "f1", None, None),
        status(3, true, "f2", Some(10), None),
        status(4, true, "f2", None, None),
        status(5, true, "f2", None, Some(AccountEnd::Closed)),
        Y::NotePayoutFailure { party_id, currency, code: "account_closed".to_owned(), leaves_money: true },
        Y::NoteHold { party_id, currency, reason: HoldReason::Kyc },
        Y::Restrict { party_id },
        Y::LiftRestriction { party_id },
        Y::RecordSanctionsHit { party_id, screening_ref: "scr_1".to_owned(), currencies: vec![currency] },
        Y::ProposeSanctionsClearance { party_id },
        Y::ApproveSanctionsClearance { party_id },
    ];
    // Bank accounts that are asked for lead to states of their own.
    let asked = vec![
        Y::Register { party_id },
        Y::LinkPayoutAccount { party_id, account: account(1) },
        Y::RequestDestination { party_id, currency, token: "btok_1".to_owned() },
        Y::RequestPspAccount { party_id, psp: "stripe".to_owned(), country: Jurisdiction::new("DE").unwrap() },
        Y::RecordPspAccountRefused {
            party_id,
            psp: "stripe".to_owned(),
            request: 0,
            code: "country_unsupported".to_owned(),
        },
        Y::RecordDestinationRefused {
            party_id,
            currency,
            psp_account: "acct_1".to_owned(),
            request: 0,
            code: "resource_missing".to_owned(),
        },
    ];
    let wrap = DomainEvent::Party;
    let found = explore::<Party>(&Tried { commands, notes: Vec::new(), wrap });
    found.and(explore::<Party>(&Tried { commands: asked, notes: Vec::new(), wrap }))
}
