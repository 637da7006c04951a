//! The `#[reactor]` attribute. Use it through the crate `reactor-guest`.

use proc_macro::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Item, ItemFn, ReturnType, Type};

/// Makes a function the reactor that this crate exports.
///
/// ```ignore
/// #[reactor]
/// fn placed(event: Event<OrderPlaced>, cx: &Context) -> Outcome { Ok(()) }
/// ```
///
/// The function stays as it is, so that `reactor_guest::testing` can run it natively. A crate has one reactor.
#[proc_macro_attribute]
pub fn reactor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if !arguments.is_empty() {
        let span = proc_macro2::TokenStream::from(arguments).span();
        return Error::new(span, "#[reactor] takes no arguments").into_compile_error().into();
    }
    let original = proc_macro2::TokenStream::from(item.clone());
    match syn::parse::<Item>(item) {
        Ok(Item::Fn(function)) => expand(&function).into(),
        Ok(other) => {
            let error = Error::new(
                other.span(),
                "#[reactor] goes on a function: `fn name(event: Event<T>, cx: &Context) -> Outcome`",
            );
            let error = error.into_compile_error();
            quote!(#original #error).into()
        }
        Err(error) => error.into_compile_error().into(),
    }
}

fn expand(function: &ItemFn) -> proc_macro2::TokenStream {
    // A function that breaks a rule is kept, so that the compiler shows no errors but ours.
    if let Some(error) = problems(function) {
        let error = error.into_compile_error();
        return quote!(#function #error);
    }
    let name = &function.sig.ident;
    let types = function.sig.inputs.iter().map(|argument| match argument {
        FnArg::Typed(argument) => &*argument.ty,
        FnArg::Receiver(receiver) => &*receiver.ty,
    });
    let types: Vec<&Type> = types.collect();
    let (event, context) = (types[0], types[1]);
    // The spans make a type that does not fit show up at the user's own code.
    let payload_check = quote_spanned! {event.span()=>
        const _: fn(#event) = |event| ::reactor_guest::__private::readable(&event);
    };
    let answer = match &function.sig.output {
        ReturnType::Type(_, answer) => &**answer,
        // Refused above.
        ReturnType::Default => return quote!(#function),
    };
    let answer_check = quote_spanned! {answer.span()=>
        const _: fn(#answer) -> ::reactor_guest::Outcome = |answer| answer;
    };
    let context_check = quote_spanned! {context.span()=>
        const _: fn(#context) = (|_| {}) as fn(&::reactor_guest::Context);
    };
    quote! {
        #function
        #payload_check
        #context_check
        #answer_check

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Reactor;

            impl ::reactor_guest::__private::Guest for Reactor {
                fn handle(
                    event: ::reactor_guest::__private::bindings::Event,
                ) -> ::core::result::Result<(), ::reactor_guest::__private::bindings::Failure> {
                    ::reactor_guest::__private::run(event, #name)
                }
            }

            ::reactor_guest::__private::export_reactor!(Reactor with_types_in ::reactor_guest::__private::bindings);
        };
    }
}

/// What is wrong with the signature, all at once.
fn problems(function: &ItemFn) -> Option<Error> {
    let signature = &function.sig;
    let mut found = Vec::new();
    if let Some(asyncness) = &signature.asyncness {
        found.push(Error::new(
            asyncness.span(),
            "a reactor is not `async`: the host runs each event in an instance of its own",
        ));
    }
    if !signature.generics.params.is_empty() {
        found.push(Error::new(
            signature.generics.span(),
            "a reactor has no generic parameters: name the type of its events",
        ));
    }
    let receiver = signature.inputs.iter().find(|argument| matches!(argument, FnArg::Receiver(_)));
    if let Some(receiver) = receiver {
        found.push(Error::new(receiver.span(), "a reactor is a free function, without `self`"));
    } else if signature.inputs.len() != 2 {
        let span = if signature.inputs.is_empty() { signature.ident.span() } else { signature.inputs.span() };
        found.push(Error::new(span, "a reactor takes two arguments: `event: Event<T>, cx: &Context`"));
    }
    if matches!(signature.output, ReturnType::Default) {
        found.push(Error::new(signature.ident.span(), "a reactor answers how it went: add `-> Outcome`"));
    }
    found.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    })
}
