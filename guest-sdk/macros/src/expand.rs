//! The function as it was, checks of its types, and on wasm32 the export.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::signature::Handler;

pub(crate) fn expand(function: &TokenStream, handler: &Handler) -> TokenStream {
    let Handler { name, event, context, outcome } = handler;
    // Every check has the place of the type that it is about. They run on every target, so that a native
    // `cargo check` says what the Wasm build would.
    let check_event = quote_spanned!(event.span()=> check_event::<#event>());
    let check_data = quote_spanned!(event.span()=> check_data::<<#event as IsEvent>::Data>());
    let check_context = quote_spanned!(context.span()=> check_context::<#context>());
    let check_outcome = quote_spanned!(outcome.span()=> check_outcome::<#outcome>());
    quote! {
        // The shape of the function is not its author's choice.
        #[allow(clippy::needless_pass_by_value)]
        #function

        const _: () = {
            use ::reactor_guest::__private::{IsEvent, check_context, check_data, check_event, check_outcome};
            #check_event;
            #check_data;
            #check_context;
            #check_outcome;
            // Keeps a private handler from being reported as unused where there is no export.
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
