//! Connections as clients and proxies really use them: what is no request, what is refused before it has arrived, what
//! stays open and for how long.

mod cross_origin;
mod early_refusals;
mod heads;
mod idle;
mod logged;
mod outside_clients;
mod pipelined;
