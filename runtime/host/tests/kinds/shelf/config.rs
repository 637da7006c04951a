//! `kind = "shelf"`

use std::sync::Arc;

use serde_json::json;

use reactor_config::Written;
use reactor_config::kind::{Kind, Reader, Section};
use reactor_config::outside::{Outside, Settings, Settle};

use super::LIMITS;

pub(crate) const FILE: Kind = Kind {
    name: "shelf",
    keys: &["shelf"],
    required: &["shelf"],
    schema: || json!({ "shelf": { "type": "string", "description": "`shelf` only, required: its name" } }),
    read,
};

#[derive(Debug, PartialEq)]
pub(crate) struct ShelfSettings {
    pub(crate) shelf: Written,
}

impl Settings for ShelfSettings {
    fn address(&self) -> &Written {
        &self.shelf
    }
}

fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Outside> {
    let shelf = reader.required(section, "shelf", "\"top\"")?;
    if shelf.value.is_empty() {
        reader.bad_text(&shelf, &section.dotted("shelf"), "a shelf has a name", "write one");
    }
    Some(Outside {
        kind: FILE.name,
        limits: LIMITS,
        // There are no leases.
        settle: Settle::Stored,
        lease: None,
        settings: Arc::new(ShelfSettings { shelf: shelf.kept() }),
    })
}
