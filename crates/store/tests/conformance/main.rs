//! Every sentence of the contracts in `tenantry_domain::store`, held against every engine in the same run.
//!
//! A test here may use the ports alone. What an engine does beyond them (files, locks, disk faults) has tests
//! of its own.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod data;
#[cfg(test)]
mod engines;
#[cfg(test)]
mod expiries;
#[cfg(test)]
mod given;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod installation;
#[cfg(test)]
mod invitations;
#[cfg(test)]
mod mails;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod organizations;
#[cfg(test)]
mod rate_limits;
#[cfg(test)]
mod sessions;
