//! The `#[reactor]` attribute of `reactor-guest`; use it from there.

mod expand;
mod signature;

use proc_macro::TokenStream;

/// Makes a function the handler of this module, which the host calls with each event.
///
/// Use it on `fn name(event: Event<T>, cx: &Context) -> Outcome`; it takes no arguments.
#[proc_macro_attribute]
pub fn reactor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    match signature::check(arguments.into(), item.clone()) {
        Ok(signature) => expand::expand(&item, &signature).into(),
        Err(error) => {
            // Keep the item, so that references to it cause no further errors.
            let errors = error.into_compile_error();
            quote::quote!(#item #errors).into()
        }
    }
}
