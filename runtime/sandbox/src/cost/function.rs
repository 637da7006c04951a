//! The cost of compiling one function.

use std::fmt;

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, ContType, FrameKind, FuncType, FunctionBody, ModuleArity,
    Operator, RefType, SubType,
};

use super::{MAX_FUNCTION, Module};

/// More locals than the format allows; reading stops there.
const MANY_LOCALS: u64 = 60_000;

/// Cost of one value passed to a block, a branch or a call; compilers generate few of these.
const HANDED_ON: u64 = 128;
/// Cost of a used local at each point, where it may be alive.
const LOCAL_AT_POINT: u64 = 2;
/// Divisor of the square of the number of points: compiler passes grow faster than the function.
const POINTS_SQUARED: u64 = 256;
/// The same for rarely run code that returns: the epoch check in a loop, the creation of a table element.
const DETOURS_SQUARED: u64 = 5;
/// The same for nested loops; hand-written code has three or four levels.
const LOOPS_SQUARED: u64 = 16;
/// This many levels of nested loops are ordinary; deeper, each used local costs something for each loop around it.
const ORDINARY_DEPTH: u64 = 8;
const LOCAL_IN_DEEP_LOOP: u64 = 50;

/// What makes a function expensive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Declared locals, including parameters.
    pub(super) declared: u64,
    /// Used locals.
    pub(super) used: u64,
    /// Blocks, branches and calls, as the compiler derives them from the operators.
    pub(super) points: u64,
    /// Values on the stack or passed on at these points, summed; passed values weigh more.
    pub(super) carried: u64,
    /// Loops, which count more, and table accesses.
    detours: u64,
    /// Loops, each counted once for every excess level of nesting around it.
    deep: u64,
    operators: u64,
}

impl Cost {
    /// A used local may be alive at every point.
    pub(super) fn sum(&self) -> u64 {
        let alive = self.used.saturating_mul(self.points).saturating_mul(LOCAL_AT_POINT);
        let points = self.points.saturating_mul(self.points) / POINTS_SQUARED;
        let detours = self.detours.saturating_mul(self.detours) / DETOURS_SQUARED;
        let deep = self.used.saturating_mul(self.deep).saturating_mul(LOCAL_IN_DEEP_LOOP);
        let values = self.declared.saturating_add(self.carried).saturating_add(alive).saturating_add(deep);
        self.operators.saturating_add(points).saturating_add(detours).saturating_add(values)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "uses {} locals, and has {} blocks, branches and calls and {} values there (those in loops count more), a cost \
             of {} where {MAX_FUNCTION} is allowed",
            self.used,
            self.points,
            self.carried,
            self.sum()
        )
    }
}

/// Memory that is reused from function to function.
#[derive(Default)]
pub(super) struct Scratch {
    /// By local: the number of the last function that used it.
    locals: Vec<u32>,
    /// By depth: the number of the last branch table that named it.
    targets: Vec<u32>,
    functions: u32,
    tables: u32,
}

impl Scratch {
    /// Whether this is the function's first use of a local.
    fn is_new(&mut self, local: u32) -> bool {
        mark(&mut self.locals, local, self.functions)
    }
}

/// Marks a place with a number; returns whether it is new. Places beyond the possible range are never new.
fn mark(places: &mut Vec<u32>, at: u32, number: u32) -> bool {
    let Some(at) = usize::try_from(at).ok().filter(|at| *at < 8_000_000) else { return false };
    if places.len() <= at {
        places.resize(at + 1, 0);
    }
    std::mem::replace(&mut places[at], number) != number
}

struct Frame {
    ty: BlockType,
    kind: FrameKind,
    /// Values below the block.
    base: u64,
    /// Enclosing loops, including itself.
    loops: u64,
}

struct Walk<'m> {
    module: &'m Module,
    frames: Vec<Frame>,
    height: u64,
    cost: Cost,
}

/// Reads a function in one pass.
pub(super) fn measure(
    module: &Module,
    ty: Option<u32>,
    body: &FunctionBody<'_>,
    scratch: &mut Scratch,
) -> Result<Cost, BinaryReaderError> {
    scratch.functions = scratch.functions.wrapping_add(1).max(1);
    let params = ty.and_then(|ty| module.arity(ty)).map_or(0, |(params, _)| u64::from(params));
    let mut cost = Cost { declared: params, ..Cost::default() };
    for local in body.get_locals_reader()? {
        cost.declared += u64::from(local?.0);
        if cost.declared > MANY_LOCALS {
            // The validator rejects it with a better message.
            return Ok(cost);
        }
    }
    let ty = ty.map_or(BlockType::Empty, BlockType::FuncType);
    let frames = vec![Frame { ty, kind: FrameKind::Block, base: 0, loops: 0 }];
    let mut walk = Walk { module, frames, height: 0, cost };
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() && walk.cost.sum() <= MAX_FUNCTION {
        walk.step(&reader.read()?, scratch)?;
    }
    Ok(walk.cost)
}

impl Walk<'_> {
    fn step(&mut self, operator: &Operator<'_>, scratch: &mut Scratch) -> Result<(), BinaryReaderError> {
        self.cost.operators += 1;
        let (takes, gives) = operator.operator_arity(self).unwrap_or_default();
        let carried = u64::from(takes) + u64::from(gives);
        if let Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } = operator
        {
            self.cost.used += u64::from(scratch.is_new(*local_index));
        }
        match operator {
            Operator::Block { blockty } => self.open(*blockty, FrameKind::Block, 1, takes),
            // The header and the epoch check.
            Operator::Loop { blockty } => {
                self.open(*blockty, FrameKind::Loop, 3, takes);
                let around = self.frames.last().map_or(0, |frame| frame.loops);
                self.cost.detours = self.cost.detours.saturating_add(3);
                self.cost.deep = self.cost.deep.saturating_add(around.saturating_sub(ORDINARY_DEPTH));
            }
            Operator::If { blockty } => self.open(*blockty, FrameKind::If, 3, takes),
            Operator::TryTable { try_table } => self.open(try_table.ty, FrameKind::Block, 3, takes),
            Operator::Else => {
                self.point(1, carried);
                self.restart();
            }
            Operator::End => {
                self.point(0, carried);
                self.close();
            }
            Operator::Br { .. } | Operator::Return | Operator::Unreachable => {
                self.point(1, carried);
                self.unreachable();
            }
            Operator::BrTable { targets } => {
                self.table(targets, scratch)?;
                self.unreachable();
            }
            Operator::BrIf { .. } => {
                self.point(2, carried);
                self.apply(takes, gives);
            }
            Operator::Call { .. } => {
                self.point(1, carried);
                self.apply(takes, gives);
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.point(3, carried);
                self.unreachable();
            }
            // A table's elements are created when first used.
            Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. } => {
                self.point(3, carried);
                self.cost.detours = self.cost.detours.saturating_add(1);
                self.apply(takes, gives);
            }
            Operator::MemoryGrow { .. } => {
                self.point(1, carried);
                self.apply(takes, gives);
            }
            _ => self.apply(takes, gives),
        }
        Ok(())
    }

    /// Counts what the compiler derives from a control operator.
    fn point(&mut self, blocks: u64, carried: u64) {
        let loops = self.frames.last().map_or(0, |frame| frame.loops);
        self.cost.points = self.cost.points.saturating_add(blocks);
        // Values that are alive in a loop are processed again for each loop around it.
        let again = blocks.saturating_mul(loops.saturating_mul(loops) / LOOPS_SQUARED);
        self.cost.operators = self.cost.operators.saturating_add(again);
        let blocks = blocks.saturating_add(again);
        let carried = carried.saturating_mul(HANDED_ON).saturating_add(blocks.saturating_mul(self.height));
        self.cost.carried = self.cost.carried.saturating_add(carried);
    }

    fn apply(&mut self, takes: u32, gives: u32) {
        let base = self.frames.last().map_or(0, |frame| frame.base);
        self.height = self.height.saturating_sub(u64::from(takes)).max(base) + u64::from(gives);
    }

    fn open(&mut self, ty: BlockType, kind: FrameKind, blocks: u64, takes: u32) {
        let (params, results) = self.block_type_arity(ty).unwrap_or_default();
        self.point(blocks, u64::from(params) + u64::from(results));
        self.apply(takes, 0);
        let loops = self.frames.last().map_or(0, |frame| frame.loops) + u64::from(kind == FrameKind::Loop);
        self.frames.push(Frame { ty, kind, base: self.height, loops });
        self.height += u64::from(params);
    }

    fn restart(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        self.height = frame.base + u64::from(self.block_type_arity(frame.ty).unwrap_or_default().0);
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.height = frame.base + u64::from(self.block_type_arity(frame.ty).unwrap_or_default().1);
    }

    /// The code that follows is unreachable and finds no values of this block.
    fn unreachable(&mut self) {
        self.height = self.frames.last().map_or(0, |frame| frame.base);
    }

    /// Each target gets its values over its own edge, however often it is named.
    fn table(&mut self, table: &wasmparser::BrTable<'_>, scratch: &mut Scratch) -> Result<(), BinaryReaderError> {
        scratch.tables = scratch.tables.wrapping_add(1).max(1);
        self.point(1, 1);
        for target in table.targets().chain([Ok(table.default())]) {
            let target = target?;
            self.cost.operators += 1;
            if mark(&mut scratch.targets, target, scratch.tables) {
                let (ty, kind) = self.label_block(target).unwrap_or((BlockType::Empty, FrameKind::Block));
                let (params, results) = self.block_type_arity(ty).unwrap_or_default();
                self.point(1, u64::from(if kind == FrameKind::Loop { params } else { results }));
            }
        }
        Ok(())
    }
}

impl ModuleArity for Walk<'_> {
    fn sub_type_at(&self, at: u32) -> Option<&SubType> {
        self.module.types.get(usize::try_from(at).ok()?)
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, at: u32) -> Option<u32> {
        self.module.functions.get(usize::try_from(at).ok()?).copied()
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    fn label_block(&self, depth: u32) -> Option<(BlockType, FrameKind)> {
        let at = self.frames.len().checked_sub(usize::try_from(depth).ok()? + 1)?;
        let frame = &self.frames[at];
        Some((frame.ty, frame.kind))
    }

    fn sub_type_arity(&self, ty: &SubType) -> Option<(u32, u32)> {
        let CompositeInnerType::Func(function) = &ty.composite_type.inner else { return None };
        let count = |values: &[wasmparser::ValType]| u32::try_from(values.len()).ok();
        Some((count(function.params())?, count(function.results())?))
    }
}
