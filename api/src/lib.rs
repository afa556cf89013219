//! Earnest as a service: HTTP, workers, the built-in payment provider, and the command line.
//!
//! # Where things are
//! - [`router`], [`routes`]: every route, one file per thing; [`view`]: what they show
//! - [`app`], [`engine`]: how a command becomes a commit and an answer
//! - [`identity`], [`caller`]: who calls; [`access`]: who may do what; [`edge`]: how often, how long, from where
//! - [`outgoing`]: whom we ask ourselves
//! - [`pages`]: what people see
//! - [`problem`], [`code`]: every error
//! - [`worker`]: projections, timers, orders to the provider, notices from it
//! - [`sandbox`]: the built-in payment provider, a service of its own
//! - [`cli`]: the commands of the binary `earnest`

pub mod access;
pub mod app;
pub mod cache;
pub mod caller;
pub mod cli;
pub mod code;
pub mod edge;
pub mod engine;
pub mod extract;
pub mod identity;
pub mod network;
pub mod openapi;
pub mod outgoing;
pub mod pages;
pub mod problem;
pub mod provider;
pub mod router;
pub mod routes;
pub mod sandbox;
pub mod sandbox_control;
pub mod server;
pub mod view;
pub mod worker;
