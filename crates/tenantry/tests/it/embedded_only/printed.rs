//! Commands of pages that start the embedded engine themselves, or need it.

mod deployment;
mod first_hour;
mod maintenance;
mod services;
