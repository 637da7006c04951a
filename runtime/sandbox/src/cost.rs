//! The cost of compiling a file, estimated before anything is compiled.
//!
//! Compile time is linear in the length of ordinary code, but not in everything that WebAssembly can express in a few
//! bytes: a variable costs something in each block in which it is alive, so a function of 25 KiB with thousands of
//! locals and thousands of loops takes gigabytes. The estimate counts these products, in one pass and without
//! validation.

mod component;
mod function;
mod name;

use wasmparser::{BinaryReaderError, CompositeInnerType, Payload, SubType, TypeRef};

use component::Components;
pub(super) use name::name_of;

/// Maximum cost of one function, and of a whole file.
///
/// A unit is some 20 to 80 ns of compile time for expensive code. Among real modules, the lexers of tree-sitter reach a
/// quarter of the first limit, as do functions built without optimizations; the interpreters of JavaScript, Python and
/// Ruby reach at most a third of the second. Files that pass are still bounded by the limits of the compiling process.
pub(super) const MAX_FUNCTION: u64 = 200_000_000;
pub(super) const MAX_TOTAL: u64 = 1_000_000_000;

/// The format's maximum number of types, and of functions, in a module. Beyond it, nothing is kept: the validator
/// rejects the file with a better message.
const MOST: usize = 1_000_000;

/// A file that costs too much to compile.
#[derive(Debug)]
pub(super) enum TooCostly {
    /// One function is too expensive.
    Function {
        /// The index of the file's module, and the function's index in it.
        module: usize,
        index: u32,
        cost: function::Cost,
    },
    /// The file as a whole is too expensive.
    Total(u64),
    /// Components instantiate one another too often.
    Components(u64),
}

/// The state of reading a file.
#[derive(Default)]
pub(super) struct Meter {
    modules: Vec<Module>,
    /// Modules and components so far, in the order of their headers.
    seen: usize,
    components: Components,
    scratch: function::Scratch,
    total: u64,
    worst: u64,
}

/// What is needed of a core module to read its functions.
#[derive(Default)]
struct Module {
    number: usize,
    types: Vec<SubType>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imported: usize,
    bodies: usize,
}

impl Meter {
    /// Takes the next payload of the file.
    pub(super) fn take(&mut self, payload: &Payload<'_>) -> Result<Option<TooCostly>, BinaryReaderError> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.modules.push(Module { number: self.seen, ..Module::default() });
                self.seen += 1;
                self.components.begin(*encoding == wasmparser::Encoding::Component);
            }
            Payload::End(_) => {
                self.modules.pop();
                self.components.end();
            }
            Payload::CodeSectionEntry(body) => return self.body(body),
            other => {
                self.declarations(other)?;
                self.components.take(other)?;
            }
        }
        Ok(self.verdict())
    }

    /// The costs of the most expensive function and of the whole file.
    #[cfg(test)]
    pub(super) fn costs(&self) -> (u64, u64) {
        (self.worst, self.total)
    }

    /// The numbers of types and functions kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        self.modules.last().map_or((0, 0), |module| (module.types.len(), module.functions.len()))
    }

    fn verdict(&self) -> Option<TooCostly> {
        if self.components.made() > component::MAX_MADE {
            return Some(TooCostly::Components(self.components.made()));
        }
        (self.total > MAX_TOTAL).then_some(TooCostly::Total(self.total))
    }

    fn declarations(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        let Some(module) = self.modules.last_mut() else { return Ok(()) };
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups.clone() {
                    module.types.extend(group?.into_types());
                    if module.types.len() > MOST {
                        break;
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        if module.functions.len() > MOST {
                            break;
                        }
                        module.functions.push(ty);
                        module.imported += 1;
                        self.total = self.total.saturating_add(module.signature(ty));
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions.clone() {
                    let ty = ty?;
                    if module.functions.len() > MOST {
                        break;
                    }
                    module.functions.push(ty);
                    // The function, and the trampolines for calls from outside.
                    self.total = self.total.saturating_add(module.signature(ty).saturating_mul(2));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<Option<TooCostly>, BinaryReaderError> {
        let Some(module) = self.modules.last_mut() else { return Ok(None) };
        let at = module.imported + module.bodies;
        module.bodies += 1;
        let cost = function::measure(module, module.functions.get(at).copied(), body, &mut self.scratch)?;
        let sum = cost.sum();
        self.worst = self.worst.max(sum);
        self.total = self.total.saturating_add(sum);
        if sum > MAX_FUNCTION {
            let index = u32::try_from(at).unwrap_or(u32::MAX);
            return Ok(Some(TooCostly::Function { module: module.number, index, cost }));
        }
        Ok(self.verdict())
    }
}

impl Module {
    /// The numbers of parameters and results of a function type.
    fn arity(&self, ty: u32) -> Option<(u32, u32)> {
        let ty = self.types.get(usize::try_from(ty).ok()?)?;
        let CompositeInnerType::Func(function) = &ty.composite_type.inner else { return None };
        let count = |values: &[wasmparser::ValType]| u32::try_from(values.len()).unwrap_or(u32::MAX);
        Some((count(function.params()), count(function.results())))
    }

    /// The cost of a function's signature alone.
    fn signature(&self, ty: u32) -> u64 {
        let (params, results) = self.arity(ty).unwrap_or_default();
        1 + u64::from(params) + u64::from(results)
    }
}

impl std::fmt::Display for TooCostly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Function { cost, .. } => cost.fmt(f),
            Self::Total(cost) => write!(f, "its functions together cost more than {MAX_TOTAL} (at least {cost})"),
            Self::Components(made) => write!(
                f,
                "its components make at least {made} instances of one another and functions between them, and {} are allowed",
                component::MAX_MADE
            ),
        }
    }
}
