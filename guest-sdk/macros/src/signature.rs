//! Checks that the attribute is on a function that can be a handler; each error points at the words it is about.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ItemFn, Result, ReturnType, Signature, Type};

const SHAPE: &str = "a reactor is `fn name(event: Event<T>, cx: &Context) -> Outcome`";

/// The parts of a handler that the expansion uses.
pub(crate) struct Handler {
    pub(crate) name: Ident,
    pub(crate) event: Type,
    pub(crate) context: Type,
    pub(crate) outcome: Type,
}

pub(crate) fn check(arguments: TokenStream, item: TokenStream) -> Result<Handler> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            "`#[reactor]` takes no arguments; which events it gets is said in reactors.toml, by `on`",
        ));
    }
    let function: ItemFn = syn::parse2(item.clone()).map_err(|error| no_function(item, error))?;
    let signature = function.sig;
    qualifiers(&signature)?;
    let (event, context) = arguments_of(&signature)?;
    let outcome = match &signature.output {
        ReturnType::Type(_, outcome) => (**outcome).clone(),
        ReturnType::Default => return Err(Error::new(end(&signature), format!("the return type is missing: {SHAPE}"))),
    };
    Ok(Handler { name: signature.ident, event, context, outcome })
}

/// A syntax error inside a function is reported as it is; any other item is not a function.
fn no_function(item: TokenStream, error: Error) -> Error {
    match syn::parse2::<syn::Item>(item) {
        Ok(syn::Item::Verbatim(_)) | Err(_) => error,
        Ok(other) => Error::new_spanned(first_line(&other), format!("`#[reactor]` goes on a function: {SHAPE}")),
    }
}

/// The item without its body, if it has one, so that the error underlines only its head.
fn first_line(item: &syn::Item) -> TokenStream {
    let is_body = |tree: &proc_macro2::TokenTree| matches!(tree, proc_macro2::TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::Brace);
    item.to_token_stream().into_iter().take_while(|tree| !is_body(tree)).collect()
}

fn qualifiers(signature: &Signature) -> Result<()> {
    if let Some(word) = &signature.asyncness {
        return Err(Error::new(word.span(), "a reactor cannot be async: it runs one event in an instance of its own"));
    }
    if let Some(word) = &signature.unsafety {
        return Err(Error::new(word.span(), "a reactor cannot be unsafe"));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, "a reactor has no ABI of its own; the attribute makes the export"));
    }
    let generics = &signature.generics;
    if generics.type_params().next().is_some() || generics.const_params().next().is_some() {
        return Err(Error::new_spanned(generics, "a reactor cannot be generic: the host calls it with one type"));
    }
    if let Some(clause) = &generics.where_clause {
        return Err(Error::new_spanned(clause, "a reactor cannot have a where clause"));
    }
    if generics.lifetimes().next().is_some() {
        return Err(Error::new_spanned(generics, "a reactor cannot have lifetime parameters; leave them out"));
    }
    Ok(())
}

fn arguments_of(signature: &Signature) -> Result<(Type, Type)> {
    let mut types = Vec::new();
    for argument in &signature.inputs {
        match argument {
            FnArg::Typed(typed) => types.push(&*typed.ty),
            FnArg::Receiver(receiver) => {
                return Err(Error::new_spanned(receiver, "a reactor is a free function and has no `self`"));
            }
        }
    }
    match types.as_slice() {
        [event, context] => Ok(((*event).clone(), (*context).clone())),
        [] => Err(Error::new(signature.paren_token.span.join(), format!("the arguments are missing: {SHAPE}"))),
        [event] => Err(Error::new(event.span(), format!("the second argument, `cx: &Context`, is missing: {SHAPE}"))),
        [_, _, more @ ..] => Err(Error::new_spanned(more[0], format!("there are too many arguments: {SHAPE}"))),
    }
}

fn end(signature: &Signature) -> Span {
    signature.paren_token.span.close()
}
