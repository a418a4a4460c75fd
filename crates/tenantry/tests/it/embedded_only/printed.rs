//! Commands of pages that start the embedded engine themselves, or need it.

mod first_hour;
mod maintenance;
mod services;
