//! Each aggregate as one of cqrs-es, so that the tools of that framework can load and test it.
//!
//! # What is deliberately absent
//! The engine does not run on this: it decides through [`crate::unit_of_work`], where several aggregates commit
//! together. Never use the framework's snapshot or aggregate stores with these: cqrs-es 0.5 applies events twice there.

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent as FrameworkEvent};

use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::upcast::{UPCASTERS, Upcaster};

/// A command with who gives it, and when.
#[derive(Debug)]
pub struct Told<C> {
    /// What.
    pub command: C,
    /// Who and when.
    pub context: Context,
}

/// What a tool of the framework needs to read events of older versions.
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    UPCASTERS.iter().map(|step| Box::new(*step) as Box<dyn EventUpcaster>).collect()
}

impl EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        event_type == self.event_type && event_version.parse() == Ok(self.from)
    }

    fn upcast(&self, mut event: SerializedEvent) -> SerializedEvent {
        self.apply(&mut event.payload);
        event.event_version = self.from.saturating_add(1).to_string();
        event
    }
}

macro_rules! aggregate {
    ($state:ty, $event:ty, $variant:ident) => {
        impl FrameworkEvent for $event {
            fn event_type(&self) -> String {
                crate::event::DomainEvent::$variant(self.clone()).event_type().to_owned()
            }

            fn event_version(&self) -> String {
                crate::event::DomainEvent::$variant(self.clone()).version().to_string()
            }
        }

        impl Aggregate for $state {
            const TYPE: &'static str = <$state as Rules>::TYPE;
            type Command = Told<<$state as Rules>::Command>;
            type Event = $event;
            type Error = Refusal;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(&command.command, &command.context)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(&event);
            }
        }
    };
}

aggregate!(crate::party::Party, crate::party::PartyEvent, Party);
aggregate!(crate::contract::Contract, crate::contract::ContractEvent, Contract);
aggregate!(crate::milestone::Milestone, crate::milestone::MilestoneEvent, Milestone);
aggregate!(crate::escrow::Escrow, crate::escrow::EscrowEvent, Escrow);
aggregate!(crate::funding::Funding, crate::funding::FundingEvent, Funding);
aggregate!(crate::payee::PayeeAccount, crate::payee::PayeeEvent, Payee);
aggregate!(crate::payout::Payout, crate::payout::PayoutEvent, Payout);
aggregate!(crate::refund::Refund, crate::refund::RefundEvent, Refund);
aggregate!(crate::wallet::ClientWallet, crate::wallet::WalletEvent, Wallet);
aggregate!(crate::pair::Pair, crate::pair::PairEvent, Pair);
aggregate!(crate::approval::ApprovalRequest, crate::approval::ApprovalEvent, Approval);
aggregate!(crate::subject::Subject, crate::subject::SubjectEvent, Subject);
aggregate!(crate::chargeback::Chargeback, crate::chargeback::ChargebackEvent, Chargeback);
