//! What every aggregate has: `decide` judges a command, `evolve` remembers an event.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::actor::Actor;
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::timer::Timer;

/// Who commands, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Business time of the decision.
    pub now: Timestamp,
    /// Who commands.
    pub actor: Actor,
}

/// The rules of one kind of aggregate, pure.
pub trait Rules: Default + Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned {
    /// Name of the kind, first part of its stream's name and of its event types.
    const TYPE: &'static str;
    /// A request.
    type Command;
    /// A fact.
    type Event;

    /// Judges a command. No events: a fact that was known already.
    ///
    /// # Errors
    /// The [`Refusal`] that names the rule.
    fn decide(&self, command: &Self::Command, context: &Context) -> Result<Vec<Self::Event>, Refusal>;

    /// Remembers a fact. Never fails: what is in the log has happened.
    fn evolve(&mut self, event: &Self::Event);

    /// The deadlines that are running.
    fn timers(&self, _stream: &StreamId) -> Vec<Timer> {
        Vec::new()
    }

    /// The word for the present state.
    fn state_name(&self) -> &'static str;
}
