//! Rules of a refund.

use super::{PaymentStanding, Refund, RefundCommand, RefundEvent, RefundOrder, redirect};
use crate::escrow::{PLATFORM_ACCOUNT, PaidFrom, PspPlace};
use crate::exchange::{RefundExchange, Settled};
use crate::id::{BreakId, FundingId};
use crate::reaction::PSP;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

pub(super) fn decide(refund: &Refund, command: &RefundCommand, context: &Context) -> Result<Vec<RefundEvent>, Refusal> {
    match command {
        RefundCommand::Under { standing, command } => under(refund, *standing, command, context),
        command => under(refund, PaymentStanding::default(), command, context),
    }
}

fn under(
    refund: &Refund,
    standing: PaymentStanding,
    command: &RefundCommand,
    context: &Context,
) -> Result<Vec<RefundEvent>, Refusal> {
    use {Refund as S, RefundCommand as C, RefundEvent as E};
    match (refund, command) {
        (_, C::Under { .. }) => Err(Refusal::Defect("a standing under another one".to_owned())),
        (S::NotRequested, C::Request { order }) => Ok(requested(order)),
        (S::NotRequested, _) => Err(Refusal::NotFound { what: "refund" }),
        // Asked for before.
        (state, C::Request { order }) if state.order().is_some_and(|known| is_same(known, order)) => Ok(Vec::new()),
        (_, C::Request { .. }) => Err(Refusal::Defect("a refund was requested twice".to_owned())),

        (S::Requested { order, .. }, C::RecordSubmitted { refund_ref }) => {
            Ok(vec![E::Submitted { refund_id: order.refund_id, refund_ref: refund_ref.clone() }])
        }
        (S::Requested { order, lacks_funds: false }, C::RecordLackOfFunds) => {
            Ok(vec![E::FundingRequired { refund_id: order.refund_id }])
        }
        (
            S::Requested { order, .. } | S::Submitted { order, .. } | S::RequiresManual { order, .. },
            C::RecordSucceeded { refund_ref, balance_transaction_ref, taken },
        ) => Ok(vec![E::Succeeded {
            refund_id: order.refund_id,
            client_id: order.client_id,
            amount: order.amount,
            currency: order.currency,
            refund_ref: refund_ref.clone(),
            balance_transaction_ref: balance_transaction_ref.clone(),
            place: place(order),
            exchange: taken.map(|taken| exchange(order, taken)),
        }]),
        (
            S::Requested { order, .. } | S::Submitted { order, .. } | S::RequiresManual { order, .. },
            C::RecordFailed { code, .. },
        ) => Ok(vec![failed(order, code, None, None)]),
        // A bank can give it back days later.
        (S::Succeeded { order, taken, .. }, C::RecordFailed { code, came_back }) => {
            Ok(vec![failed(order, code, Some(place(order)), came_back.or(*taken))])
        }
        (
            S::Requested { order, .. } | S::Submitted { order, .. } | S::RequiresManual { order, .. },
            C::RecordCancelled,
        ) => Ok(vec![E::Cancelled {
            refund_id: order.refund_id,
            funding_id: of_payment(order),
            client_id: order.client_id,
            amount: order.amount,
            currency: order.currency,
        }]),
        (S::Requested { order, .. }, C::RecordRefused { code }) => {
            let manual = E::ManualRequired { refund_id: order.refund_id, reason: code.clone() };
            // The bank has it for good: nothing is left to wait for.
            let over = standing.reclaimed.then(|| redirected(order));
            Ok([manual].into_iter().chain(over).collect())
        }
        (S::RequiresManual { order, .. }, C::RecordPaymentTaken) => Ok(vec![redirected(order)]),
        (S::RequiresManual { order, reason }, C::AskAgain) if redirect::was_disputed(reason) => {
            Ok(vec![E::Requested { order: RefundOrder { asked_before: times_asked(order)?, ..order.clone() } }])
        }
        // It waits for nobody, or for something else.
        (_, C::RecordPaymentTaken | C::AskAgain) => Ok(Vec::new()),
        // The money left although the wallet has it: that is recorded, and somebody has to look.
        (S::Redirected { order, sent_too: false }, C::RecordSucceeded { refund_ref, taken, .. }) => {
            let Settled { amount, currency } =
                taken.unwrap_or(Settled { amount: order.amount, currency: order.currency });
            Ok(vec![E::DebitSuspended {
                refund_id: order.refund_id,
                break_id: BreakId::derived(order.refund_id.as_uuid(), "debit"),
                amount,
                currency,
                refund_ref: refund_ref.clone(),
                place: place(order),
            }])
        }
        // A report of lower rank than what is known came late, or again: no news.
        (
            _,
            C::RecordSubmitted { .. }
            | C::RecordLackOfFunds
            | C::RecordSucceeded { .. }
            | C::RecordFailed { .. }
            | C::RecordCancelled
            | C::RecordRefused { .. },
        ) => Ok(Vec::new()),

        (S::RequiresManual { order, reason }, C::RedirectToWallet) => {
            redirect::may_ask(order, context)?;
            redirect::is_here(reason, standing, context)?;
            Ok(vec![redirected(order)])
        }
        (state, C::RedirectToWallet) => {
            state.order().map_or(Ok(()), |order| redirect::may_ask(order, context))?;
            Err(Refusal::RefundWrongState { action: "redirected", state: state.state_name() })
        }
    }
}

/// Whether it is the same, however often it was asked for.
fn is_same(known: &RefundOrder, order: &RefundOrder) -> bool {
    RefundOrder { asked_before: order.asked_before, ..known.clone() } == *order
}

fn times_asked(order: &RefundOrder) -> Result<u32, Refusal> {
    order.asked_before.checked_add(1).ok_or_else(|| Refusal::Defect("a refund was asked for too often".to_owned()))
}

fn requested(order: &RefundOrder) -> Vec<RefundEvent> {
    let mut events = vec![RefundEvent::Requested { order: order.clone() }];
    if order.paid_from == PaidFrom::Wallet {
        events.push(redirected(order));
    } else if order.charge.is_none() {
        let reason = "charge_unknown".to_owned();
        events.push(RefundEvent::ManualRequired { refund_id: order.refund_id, reason });
    }
    events
}

fn redirected(order: &RefundOrder) -> RefundEvent {
    RefundEvent::Redirected {
        refund_id: order.refund_id,
        funding_id: of_payment(order),
        client_id: order.client_id,
        amount: order.amount,
        currency: order.currency,
    }
}

fn exchange(order: &RefundOrder, settled: Settled) -> RefundExchange {
    RefundExchange { funding_id: order.funding_id, settled }
}

fn failed(order: &RefundOrder, code: &str, came_back_to: Option<PspPlace>, came_back: Option<Settled>) -> RefundEvent {
    RefundEvent::Failed {
        refund_id: order.refund_id,
        funding_id: of_payment(order),
        client_id: order.client_id,
        amount: order.amount,
        currency: order.currency,
        code: code.to_owned(),
        came_back_to,
        exchange: came_back.map(|settled| exchange(order, settled)),
    }
}

/// The payment whose money it is, unless it came from the wallet.
fn of_payment(order: &RefundOrder) -> Option<FundingId> {
    order.funding_id.filter(|_| order.charge.is_some() || order.paid_from != PaidFrom::Wallet)
}

/// Where the money of its charge lies: at the platform's own account.
fn place(order: &RefundOrder) -> PspPlace {
    let known = order.charge.as_ref().map(|charge| charge.place.clone());
    known.unwrap_or_else(|| PspPlace { psp: PSP.to_owned(), psp_account: PLATFORM_ACCOUNT.to_owned() })
}
