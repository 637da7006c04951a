//! `reactor schema`

use clap::Args;

use reactor_config::schema::schema;

use super::exit::{self, Exit};

/// Print the JSON Schema of reactors.toml, for editors
///
/// Needs no configuration. An editor that knows TOML completes and checks keys if the first line of reactors.toml names the
/// schema: #:schema reactors.schema.json
///
/// Example: reactor schema > reactors.schema.json
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self) -> Result<(), Exit> {
        let text = serde_json::to_string_pretty(&schema(crate::kinds::KINDS))
            .map_err(|error| Exit::new(exit::FAILURE, error))?;
        super::print_as_is(&text);
        Ok(())
    }
}
