//! Connections as clients and proxies really use them: what is no request, what is refused before it has arrived, what
//! stays open and for how long.

mod cross_origin;
mod early_refusals;
mod heads;
mod http2;
mod http2_limits;
mod idle;
mod load;
mod logged;
mod outside_clients;
mod per_address;
mod pipelined;
mod tls;
mod tls_renewal;
