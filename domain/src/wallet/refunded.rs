//! Money of refunds that is in the wallet: a bank that has taken its payment, or is about to, reaches it here.
//!
//! # Invariants
//! - While a bank contests a payment, as much of what came back of it as the client would have twice is not spent.
//! - What the client has twice is taken as far as money of that payment came here and is here; the rest is a claim on what
//!   comes later. In whatever order refund and loss arrive, the same is taken.
//!
//! # What is deliberately absent
//! Money that came back before it was kept of which payment it is. Telling the client's money apart: what was spent is
//! replaced by what comes.

use ledger::Minor;

use super::{ClientWallet, WalletCommand, WalletEvent};
use crate::refusal::Refusal;

pub(super) fn decide(wallet: &ClientWallet, command: &WalletCommand) -> Result<Vec<WalletEvent>, Refusal> {
    match command {
        WalletCommand::RecordRefund { client_id, amount, currency, cause, source_event_id, funding_id } => {
            let mut events = vec![WalletEvent::Credited {
                client_id: *client_id,
                amount: *amount,
                currency: *currency,
                cause: *cause,
                source_event_id: *source_event_id,
                funding_id: *funding_id,
            }];
            let mut rest = *amount;
            if let Some(funding_id) = funding_id {
                for claim in wallet.claims.get(funding_id).into_iter().flatten() {
                    let taken = claim.amount.min(rest);
                    if taken.is_zero() {
                        continue;
                    }
                    rest = rest.checked_sub(taken)?;
                    events.push(WalletEvent::RefundReclaimed {
                        client_id: *client_id,
                        funding_id: *funding_id,
                        chargeback_id: claim.chargeback_id,
                        amount: taken,
                        outstanding: claim.amount.checked_sub(taken)?,
                        currency: *currency,
                    });
                }
            }
            Ok(events)
        }
        WalletCommand::HoldRefunds { client_id, currency, chargeback_id, funding_id, amount } => {
            let held = wallet.contested_refunds.get(chargeback_id).map_or(Minor::ZERO, |contested| contested.amount);
            if held == *amount {
                return Ok(Vec::new());
            }
            Ok(vec![WalletEvent::ChargebackHeld {
                client_id: *client_id,
                chargeback_id: *chargeback_id,
                amount: *amount,
                currency: *currency,
                funding_id: Some(*funding_id),
            }])
        }
        WalletCommand::ReclaimRefunds { client_id, currency, chargeback_id, funding_id, amount } => {
            let there = wallet.balance.min(wallet.refunded_of(*funding_id)).min(*amount);
            let missing = amount.checked_sub(there)?;
            let (client_id, funding_id, currency) = (*client_id, *funding_id, *currency);
            Ok(vec![match chargeback_id {
                Some(chargeback_id) => WalletEvent::ChargebackAbsorbed {
                    client_id,
                    chargeback_id: *chargeback_id,
                    funding_id,
                    amount: there,
                    platform_share: missing,
                    currency,
                    of_refunds: true,
                },
                None => WalletEvent::RefundReclaimed {
                    client_id,
                    funding_id,
                    chargeback_id: None,
                    amount: there,
                    outstanding: wallet.claimed(funding_id, None).checked_add(missing)?,
                    currency,
                },
            }])
        }
        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}
