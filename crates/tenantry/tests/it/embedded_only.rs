//! What the embedded engine alone has, its files, and what an engine cannot differ in: pages, the command line,
//! connections.

mod audit_tampering;
mod command_line;
mod connections;
mod deployed;
mod faults;
mod files;
mod names;
mod pages;
mod printed;
mod proxies;
mod token_verifiers;
