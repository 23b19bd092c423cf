//! Code that every function at the border to Python needs, written once.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, ImplItem, ImplItemFn, Item, ItemFn, ReturnType, Signature, Token, Type, parse_macro_input, parse_quote,
};

/// Has a panic in a function, or in any function of an `impl` block, come to Python as an exception of this library.
///
/// Goes above `#[pymethods]` and `#[pyfunction]`. A function that returns no `PyResult` returns one from then on. The two slots of
/// the garbage collector stay as they are: they can raise nothing.
#[proc_macro_attribute]
pub fn border(_: TokenStream, item: TokenStream) -> TokenStream {
    match parse_macro_input!(item as Item) {
        Item::Fn(mut function) => {
            let ItemFn { sig, block, .. } = &mut function;
            guard(sig, block);
            quote!(#function).into()
        }
        Item::Impl(mut block) => {
            for item in &mut block.items {
                if let ImplItem::Fn(ImplItemFn { sig, block, .. }) = item
                    && !matches!(&*sig.ident.to_string(), "__traverse__" | "__clear__")
                {
                    guard(sig, block);
                }
            }
            quote!(#block).into()
        }
        other => {
            syn::Error::new_spanned(other, "only functions and impl blocks are at the border").to_compile_error().into()
        }
    }
}

fn guard(signature: &mut Signature, body: &mut syn::Block) {
    let returned: Type = match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, returned) => (**returned).clone(),
    };
    if is_result(&returned) {
        *body = parse_quote!({ crate::py::border::guarded(move || -> #returned #body) });
    } else {
        signature.output = parse_quote!(-> ::pyo3::PyResult<#returned>);
        *body = parse_quote!({ crate::py::border::guarded(move || Ok((move || -> #returned #body)())) });
    }
}

fn is_result(returned: &Type) -> bool {
    let Type::Path(path) = returned else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "PyResult" || last.ident == "Result")
}

/// One function of C's: its name, arguments and result.
struct Function {
    attributes: Vec<Attribute>,
    signature: Signature,
}

struct Functions(Vec<Function>);

impl Parse for Functions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut all = Vec::new();
        while !input.is_empty() {
            let attributes = input.call(Attribute::parse_outer)?;
            let signature = input.parse()?;
            input.parse::<Token![;]>()?;
            all.push(Function { attributes, signature });
        }
        Ok(Self(all))
    }
}

/// For every function `f` named: a function `__wrap_f` that calls `__real_f`, and hangs its thread where that would be unwound.
/// With `--wrap=f` the linker redirects every call of `f` there.
#[proc_macro]
pub fn hang_where_unwound(functions: TokenStream) -> TokenStream {
    let Functions(all) = parse_macro_input!(functions as Functions);
    let wrapped = all.iter().map(|Function { attributes, signature }| {
        let (name, inputs, output) = (&signature.ident, &signature.inputs, &signature.output);
        let (real, wrap) = (format_ident!("__real_{name}"), format_ident!("__wrap_{name}"));
        let arguments = inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => Some(&typed.pat),
            syn::FnArg::Receiver(_) => None,
        });
        quote! {
            #(#attributes)*
            unsafe extern "C-unwind" { fn #real(#inputs) #output; }

            #(#attributes)*
            #[unsafe(no_mangle)]
            unsafe extern "C-unwind" fn #wrap(#inputs) #output {
                let hang = HangWhereUnwound;
                // SAFETY: the caller's promises are those that the function asks for.
                let returned = unsafe { #real(#(#arguments),*) };
                ::std::mem::forget(hang);
                returned
            }
        }
    });
    quote!(#(#wrapped)*).into()
}
