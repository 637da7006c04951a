//! How many instances components create of one another: instantiating a component repeats everything in it.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Payload,
};

/// Maximum number of component instances in a file, including functions adapted between them.
pub(super) const MAX_MADE: u64 = 20_000;

#[derive(Default)]
pub(super) struct Components {
    levels: Vec<Level>,
    /// The maximum over all components; used for a component that is passed in.
    most: u64,
}

#[derive(Default)]
struct Level {
    component: bool,
    /// Instances and functions that each component known here creates, including itself.
    known: Vec<u64>,
    own: u64,
}

impl Components {
    pub(super) fn begin(&mut self, component: bool) {
        self.levels.push(Level { component, known: Vec::new(), own: 1 });
    }

    pub(super) fn end(&mut self) {
        let Some(level) = self.levels.pop() else { return };
        self.most = self.most.max(level.own);
        if let Some(outer) = self.levels.last_mut().filter(|_| level.component) {
            outer.known.push(level.own);
        }
    }

    /// The maximum that one component creates.
    pub(super) fn made(&self) -> u64 {
        self.levels.iter().map(|level| level.own).max().unwrap_or(0).max(self.most)
    }

    pub(super) fn take(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ComponentCanonicalSection(functions) => {
                self.add(u64::from(functions.count()));
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.add(self.lookup(0, component_index));
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    match alias? {
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                            let made = self.lookup(count, index);
                            self.know(made);
                        }
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                            self.know(self.most.max(1));
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    if let ComponentTypeRef::Component(_) = import?.ty {
                        self.know(self.most.max(1));
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Component {
                        let made = self.lookup(0, export.index);
                        self.know(made);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, made: u64) {
        if let Some(level) = self.levels.last_mut() {
            level.own = level.own.saturating_add(made);
        }
    }

    fn know(&mut self, made: u64) {
        if let Some(level) = self.levels.last_mut() {
            level.known.push(made);
        }
    }

    /// What a component creates, by its index `out` levels up; an index that does not exist is rejected later.
    fn lookup(&self, out: u32, index: u32) -> u64 {
        let level = usize::try_from(out).ok().and_then(|out| self.levels.len().checked_sub(out + 1));
        let found = level.and_then(|level| self.levels[level].known.get(usize::try_from(index).ok()?));
        found.copied().unwrap_or(1)
    }
}
