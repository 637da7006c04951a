//! Expands to the function itself, checks of its types, and the export on wasm32.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::signature::Handler;

pub(crate) fn expand(function: &TokenStream, handler: &Handler) -> TokenStream {
    let Handler { name, event, context, outcome } = handler;
    // Each check has the span of the type that it checks. The checks run on every target, so that a native
    // `cargo check` reports the same errors as the Wasm build.
    let check_event = quote_spanned!(event.span()=> check_event::<#event>());
    let check_data = quote_spanned!(event.span()=> check_data::<<#event as IsEvent>::Data>());
    let check_context = quote_spanned!(context.span()=> check_context::<#context>());
    let check_outcome = quote_spanned!(outcome.span()=> check_outcome::<#outcome>());
    quote! {
        // The author has no choice about the function's signature.
        #[allow(clippy::needless_pass_by_value)]
        #function

        const _: () = {
            use ::reactor_guest::__private::{IsEvent, check_context, check_data, check_event, check_outcome};
            #check_event;
            #check_data;
            #check_context;
            #check_outcome;
            // Keeps a private handler from being reported as unused when there is no export.
            let _ = #name;
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Export;

            impl ::reactor_guest::__private::Guest for Export {
                fn handle(
                    event: ::reactor_guest::__private::bindings::Event,
                ) -> ::core::result::Result<(), ::reactor_guest::__private::bindings::Failure> {
                    ::reactor_guest::__private::run(#name, event)
                }
            }

            ::reactor_guest::__private::bindings::export!(
                Export with_types_in ::reactor_guest::__private::bindings
            );
        };
    }
}
