//! What MongoDB alone has: placements, several instances, faults of its servers, and transfers to it.

mod adoption;
mod batches;
mod changed_roles;
#[cfg(feature = "crash-points")]
mod chaos;
mod commands;
mod doctor;
mod ended_sessions;
mod extra_collections;
mod instances;
mod neighbours;
mod placements;
mod shared_documents;
mod transfer;
