//! What MongoDB alone has: placements, several instances, faults of its servers, and transfers to it.

mod adoption;
mod batches;
mod changed_roles;
#[cfg(feature = "crash-points")]
mod chaos;
mod commands;
mod crossed_restore;
mod doctor;
mod ended_sessions;
mod extra_collections;
mod instances;
mod placements;
mod printed;
mod shared_documents;
mod transfer;
