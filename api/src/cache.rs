//! A bounded cache of aggregates by version, in front of loading.
//!
//! # Invariants
//! - What is in it may be old, never wrong: the commit checks every version that a decision depended on, and the engine
//!   looks again before it lets an answer stand that no commit checks.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes the old one, and what was in the
//! old one is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::log::StreamId;
use domain::unit_of_work::LoadedStream;

/// Streams by id, at most twice `capacity` of them.
#[derive(Debug)]
pub struct StreamCache {
    generations: Mutex<Generations>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<StreamId, Arc<LoadedStream>>,
    old: HashMap<StreamId, Arc<LoadedStream>>,
}

impl StreamCache {
    /// An empty cache. Capacity 0 keeps nothing.
    pub fn new(capacity: usize) -> Self {
        Self { generations: Mutex::default(), capacity }
    }

    /// The stream as last seen.
    pub fn get(&self, stream: &StreamId) -> Option<Arc<LoadedStream>> {
        let mut generations = self.lock();
        if let Some(found) = generations.young.get(stream) {
            return Some(Arc::clone(found));
        }
        let found = generations.old.remove(stream)?;
        self.put(&mut generations, stream.clone(), Arc::clone(&found));
        Some(found)
    }

    /// Keeps the stream, unless a newer version is known.
    pub fn keep(&self, stream: StreamId, loaded: Arc<LoadedStream>) {
        if self.capacity == 0 {
            return;
        }
        let mut generations = self.lock();
        let known = generations.young.get(&stream).or_else(|| generations.old.get(&stream));
        if known.is_some_and(|known| known.version > loaded.version) {
            return;
        }
        self.put(&mut generations, stream, loaded);
    }

    /// Drops the stream.
    pub fn forget(&self, stream: &StreamId) {
        let mut generations = self.lock();
        generations.young.remove(stream);
        generations.old.remove(stream);
    }

    fn put(&self, generations: &mut Generations, stream: StreamId, loaded: Arc<LoadedStream>) {
        if generations.young.len() >= self.capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(stream, loaded);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        // A panic elsewhere leaves the maps whole: every change of them is one call.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
