//! The driver of the unit of work: loads what it needs, appends what it decides, tries again on conflict.
//!
//! # Invariants
//! - One command id of a caller is in progress once in this process, and accepted once over all servers.
//! - Requests on one contract wait for each other in this process, so that only other servers cause conflicts.
//! - A refusal, or the finding that nothing changes, is given only on streams that were looked at just now, and all of
//!   them with one query: the commit checks what was decided otherwise, nothing else does.
//!
//! What a request would do is told by [`Engine::preview`].
//!
//! # What is deliberately absent
//! HTTP. Rules. SQL.

mod preview;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use domain::actor::Actor;
use domain::authentication::AuthContext;
use domain::intent::Intent;
use domain::log::{Answer, EventStore, Receipt, StoreError, StoredCommand, StreamId, Verdict};
use domain::payee;
use domain::ports::Clock;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::unit_of_work::{Decision, Loaded, Step, UnitOfWork};
use uuid::Uuid;

pub use preview::Preview;

use crate::cache::StreamCache;

/// How often a decision is made anew because another server was faster. Requests on one contract queue in process, so
/// three lost races in a row mean that servers fight over one contract; the caller is then told to come back.
const CONFLICT_RETRIES: usize = 3;

/// A chain of due timers longer than this in one scope is a defect: a payee account with this many earnings due at once
/// is woken again.
const MAX_TIMERS_PER_REQUEST: usize = 10_000;

/// What the engine is asked to do.
pub struct Request<'a> {
    /// What is wanted.
    pub intent: Intent,
    /// Who wants it.
    pub actor: Actor,
    /// How it was shown who wants it, for the events.
    pub auth: AuthContext,
    /// Its identity.
    pub command_id: Uuid,
    /// The version that the caller knows.
    pub if_match: Option<u64>,
    /// The caller's key, for the events.
    pub idempotency_key: Option<String>,
    /// W3C trace context, for the events.
    pub traceparent: Option<String>,
    /// Makes the answer that is stored with the command; `None` for commands of the engine itself.
    pub answer: Option<AnswerMaker<'a>>,
}

/// Makes the answer to a command from what was decided.
pub type AnswerMaker<'a> = &'a (dyn Fn(&Decision) -> Answer + Send + Sync);

impl Request<'_> {
    /// A request of the engine itself.
    pub fn internal(intent: Intent, actor: Actor, command_id: Uuid) -> Self {
        Self {
            intent,
            actor,
            auth: AuthContext::default(),
            command_id,
            if_match: None,
            idempotency_key: None,
            traceparent: None,
            answer: None,
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Performed {
    /// Decided and committed.
    Done(Box<Decision>, Receipt),
    /// Committed earlier under the same command id.
    Replayed(StoredCommand),
    /// Nothing changes: what was told is known, or nothing was due.
    Unchanged(Loaded),
}

/// A request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A rule said no. Due timers may have been committed before.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same command is being carried out right now.
    #[error("the same command is in progress")]
    InProgress,
    /// Other servers were faster too often.
    #[error("too many conflicts")]
    Contended,
}

/// Carries out requests against one tenant's log.
pub struct Engine<S, C> {
    store: Arc<S>,
    clock: C,
    cache: StreamCache,
    queues: Mutex<HashMap<StreamId, Weak<tokio::sync::Mutex<()>>>>,
    in_progress: Mutex<HashSet<Uuid>>,
}

impl<S: EventStore, C: Clock> Engine<S, C> {
    /// An engine on a log, with a clock, that keeps about `cache_capacity` to twice as many aggregates in memory.
    pub fn new(store: Arc<S>, clock: C, cache_capacity: usize) -> Self {
        Self {
            store,
            clock,
            cache: StreamCache::new(cache_capacity),
            queues: Mutex::default(),
            in_progress: Mutex::default(),
        }
    }

    /// The log.
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// The tenant's clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// Carries out a request.
    ///
    /// A repeat, with the same command id, has no effect and tells [`Performed::Replayed`].
    ///
    /// # Errors
    /// [`EngineError`]. After [`EngineError::Store`] the outcome may be unknown: ask again with the same command id.
    pub async fn perform(&self, request: Request<'_>) -> Result<Performed, EngineError> {
        // What the engine tells itself may be told twice at once, by an answer and by a webhook: it waits its turn.
        let _in_progress = match request.answer {
            Some(_) => Some(InProgress::enter(&self.in_progress, request.command_id)?),
            None => None,
        };
        let queue = self.queue(&request.intent.queue());
        let _turn = queue.lock().await;
        let clock = self.clock.now().await?;
        let work = UnitOfWork {
            intent: request.intent,
            actor: request.actor,
            command_id: request.command_id,
            clock,
            if_match: request.if_match,
            idempotency_key: request.idempotency_key,
            traceparent: request.traceparent,
        };
        self.run(&work, &request.auth, request.answer).await
    }

    /// Lets the timers fire that are due in a scope. Returns whether any did.
    ///
    /// # Errors
    /// [`EngineError`], as [`Engine::perform`].
    pub async fn wake(&self, scope: domain::timer::Scope) -> Result<(), EngineError> {
        let actor = Actor::System(domain::actor::SystemPart::Timer);
        // Waking appends nothing of its own, only timers, which have ids of their own.
        self.perform(Request::internal(Intent::Wake(scope), actor, Uuid::now_v7())).await.map(|_| ())
    }

    /// The instant now, on the tenant's clock.
    ///
    /// # Errors
    /// [`StoreError`] when a stored test clock cannot be read.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        self.clock.now().await
    }

    async fn run(
        &self,
        work: &UnitOfWork,
        auth: &AuthContext,
        answer: Option<AnswerMaker<'_>>,
    ) -> Result<Performed, EngineError> {
        let assume = work.intent.may_begin();
        let loaded = if assume { Loaded::assuming_new() } else { Loaded::new() };
        let mut view = View { loaded, from_cache: BTreeSet::new(), queries: 0 };
        let mut fresh = false;
        let mut conflicts = 0;
        let mut timers = 0;
        loop {
            match work.step(&view.loaded) {
                Step::Needs(streams) => self.load(&mut view, &streams, fresh).await?,
                Step::Timer(decision) => {
                    timers += 1;
                    if timers > MAX_TIMERS_PER_REQUEST {
                        return Err(EngineError::Contended);
                    }
                    match self.store.append(decision.append.clone()).await? {
                        Verdict::Accepted(receipt) => self.learn(&decision, &receipt, Some(&mut view)),
                        // Another server fired it, or the stream moved on: look again.
                        Verdict::Replayed(_) | Verdict::Conflict => {
                            Self::start_again(&mut view);
                            fresh = true;
                            conflicts += 1;
                        }
                    }
                }
                Step::Decided(mut decision) => {
                    for event in &mut decision.append.events {
                        event.metadata.auth = auth.clone();
                    }
                    decision.append.answer = answer.map(|make| make(&decision));
                    match self.store.append(decision.append.clone()).await? {
                        Verdict::Accepted(receipt) => {
                            self.learn(&decision, &receipt, None);
                            return Ok(Performed::Done(decision, receipt));
                        }
                        Verdict::Replayed(command) => return Ok(Performed::Replayed(command)),
                        Verdict::Conflict => {
                            Self::start_again(&mut view);
                            fresh = true;
                            conflicts += 1;
                        }
                    }
                }
                Step::Unchanged | Step::Refused(_) if view.loaded.assumes_new() => {
                    Self::start_again(&mut view);
                    fresh = true;
                }
                Step::Unchanged | Step::Refused(_) if !view.is_of_one_instant() => {
                    self.look_again(&mut view).await?;
                    fresh = true;
                }
                Step::Unchanged => {
                    return Ok(match self.repeated(work, answer.is_some()).await? {
                        Some(command) => Performed::Replayed(command),
                        None => Performed::Unchanged(view.loaded),
                    });
                }
                Step::Refused(refusal) => {
                    return match self.repeated(work, answer.is_some()).await? {
                        Some(command) => Ok(Performed::Replayed(command)),
                        None => Err(EngineError::Refused(refusal)),
                    };
                }
            }
            if conflicts > CONFLICT_RETRIES {
                return Err(EngineError::Contended);
            }
        }
    }

    /// The command accepted earlier under this id. Asked only where the commit does not tell: a wish that is fulfilled
    /// already is refused by the rules, and only the command's id shows that it was this very command.
    async fn repeated(&self, work: &UnitOfWork, has_answer: bool) -> Result<Option<StoredCommand>, StoreError> {
        if !has_answer {
            return Ok(None);
        }
        self.store.command(work.command_id).await
    }

    /// Brings streams in: from the cache, unless they have to be fresh, and the rest from the log in one query.
    async fn load(&self, view: &mut View, streams: &[StreamId], fresh: bool) -> Result<(), EngineError> {
        let mut wanted = Vec::new();
        for stream in streams {
            let cached = self.cache.get(stream);
            let version = cached.as_ref().map_or(0, |cached| cached.version);
            // Credits to a payee account do not conflict with anything, so no commit would tell that they are missing.
            let look = fresh || cached.is_none() || stream.aggregate_type == payee::TYPE;
            if let Some(cached) = cached {
                view.loaded.insert(stream.clone(), cached);
                if !look {
                    view.from_cache.insert(stream.clone());
                }
            }
            if look {
                wanted.push((stream.clone(), version));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.read(view, wanted).await
    }

    /// Reads what is newer of all that is in view, in one query.
    async fn look_again(&self, view: &mut View) -> Result<(), EngineError> {
        let wanted = view.loaded.iter().map(|(stream, loaded)| (stream.clone(), loaded.version)).collect();
        view.from_cache.clear();
        view.queries = 0;
        self.read(view, wanted).await
    }

    async fn read(&self, view: &mut View, wanted: Vec<(StreamId, u64)>) -> Result<(), EngineError> {
        view.queries = view.queries.saturating_add(1);
        let events = self.store.load(&wanted).await?;
        let asked: Vec<StreamId> = wanted.into_iter().map(|(stream, _)| stream).collect();
        // Streams of the same scope come along. One that was taken from the cache gets what is newer; the rest of it is
        // known.
        view.loaded.absorb(&asked, &events).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        for (stream, loaded) in view.loaded.iter() {
            if !view.from_cache.contains(stream) {
                self.cache.keep(stream.clone(), Arc::clone(loaded));
            }
        }
        Ok(())
    }

    /// Remembers what a decision made of its streams, where nothing else came in between.
    fn learn(&self, decision: &Decision, receipt: &Receipt, mut view: Option<&mut View>) {
        let mut elsewhere = BTreeSet::new();
        for (write, version) in decision.append.streams.iter().zip(&receipt.versions) {
            if decision.version(&write.stream) != Some(*version) {
                elsewhere.insert(&write.stream);
            }
        }
        for stream in &elsewhere {
            self.cache.forget(stream);
            if let Some(view) = view.as_deref_mut() {
                view.loaded.forget(stream);
            }
        }
        for (stream, loaded) in decision.after.iter().filter(|(stream, _)| !elsewhere.contains(stream)) {
            let read_from_cache = view.as_deref().is_some_and(|view| view.from_cache.contains(stream));
            if !read_from_cache {
                self.cache.keep(stream.clone(), Arc::clone(loaded));
            }
            if let Some(view) = view.as_deref_mut() {
                view.loaded.insert(stream.clone(), Arc::clone(loaded));
            }
        }
    }

    fn start_again(view: &mut View) {
        // What is in the cache stays: its versions tell from where on to read.
        *view = View { loaded: Loaded::new(), from_cache: BTreeSet::new(), queries: 0 };
    }

    fn queue(&self, stream: &StreamId) -> Arc<tokio::sync::Mutex<()>> {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get(stream).and_then(Weak::upgrade) {
            return queue;
        }
        // Queues that nobody holds any more are dropped before the map grows by its own size again.
        if queues.len() == queues.capacity() {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(tokio::sync::Mutex::new(()));
        queues.insert(stream.clone(), Arc::downgrade(&queue));
        queue
    }
}

/// What one run of a unit of work sees.
struct View {
    loaded: Loaded,
    /// Streams that were taken from the cache without asking the log.
    from_cache: BTreeSet<StreamId>,
    /// How often the log was asked.
    queries: usize,
}

impl View {
    /// Whether everything in it was true at once, just now. What came with two queries need not have been: in between,
    /// another server may have approved, and what was read of the milestone and of its escrow contradict each other.
    fn is_of_one_instant(&self) -> bool {
        self.from_cache.is_empty() && self.queries <= 1
    }
}

/// Holds a command id for as long as it is in progress.
struct InProgress<'a> {
    set: &'a Mutex<HashSet<Uuid>>,
    command_id: Uuid,
}

impl<'a> InProgress<'a> {
    fn enter(set: &'a Mutex<HashSet<Uuid>>, command_id: Uuid) -> Result<Self, EngineError> {
        if lock(set).insert(command_id) { Ok(Self { set, command_id }) } else { Err(EngineError::InProgress) }
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        lock(self.set).remove(&self.command_id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves sets and maps whole: every change of them is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
