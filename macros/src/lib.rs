//! Code that every function at the border to Python needs, written once.

use proc_macro::TokenStream;
use proc_macro2::TokenTree;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Expr, Ident, ImplItem, ImplItemFn, Item, ItemFn, ReturnType, Signature, Token, Type, parse_macro_input,
    parse_quote,
};

/// Has a panic in a function, or in any function of an `impl` block, come to Python as an exception of this library.
///
/// Goes above `#[pymethods]` and `#[pyfunction]`. A function that returns no `PyResult` returns one from then on. The two slots of
/// the garbage collector stay as they are: they can raise nothing.
///
/// A getter marked `#[assigned]` has a setter beside it, which hands the value to the class's `assign(name, value)`.
///
/// Getters of one expression may be listed, as `getters! { name: Type = expression; ... }`, and those that have such a setter as
/// `fields! { ... }`. The expression has `self` and `py`.
#[proc_macro_attribute]
pub fn border(_: TokenStream, item: TokenStream) -> TokenStream {
    match parse_macro_input!(item as Item) {
        Item::Fn(mut function) => {
            let ItemFn { sig, block, .. } = &mut function;
            guard(sig, block);
            quote!(#function).into()
        }
        Item::Impl(mut block) => {
            let mut items = Vec::with_capacity(block.items.len());
            for item in block.items {
                match item {
                    ImplItem::Macro(list) if list.mac.path.is_ident("getters") || list.mac.path.is_ident("fields") => {
                        match list.mac.parse_body::<Getters>() {
                            Ok(getters) => items.extend(getters.made(list.mac.path.is_ident("fields"))),
                            Err(error) => return error.to_compile_error().into(),
                        }
                    }
                    item => items.push(item),
                }
            }
            block.items = items;
            let setters: Vec<ImplItem> = block.items.iter_mut().filter_map(setter).collect();
            block.items.extend(setters);
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

/// A list of getters.
struct Getters(Vec<(Vec<Attribute>, Ident, Type, Expr)>);

impl Parse for Getters {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut found = Vec::new();
        while !input.is_empty() {
            let (attributes, name) = (input.call(Attribute::parse_outer)?, input.parse()?);
            input.parse::<Token![:]>()?;
            let returned = input.parse()?;
            input.parse::<Token![=]>()?;
            let shown = input.parse()?;
            input.parse::<Token![;]>()?;
            found.push((attributes, name, returned, shown));
        }
        Ok(Self(found))
    }
}

impl Getters {
    fn made(self, assigned: bool) -> impl Iterator<Item = ImplItem> {
        let mark: Option<Attribute> = assigned.then(|| parse_quote!(#[assigned]));
        self.0.into_iter().map(move |(attributes, name, returned, shown)| {
            let signature = if names_py(quote!(#shown #returned)) {
                quote!(fn #name<'py>(&self, py: ::pyo3::Python<'py>))
            } else {
                quote!(fn #name(&self))
            };
            parse_quote! {
                #(#attributes)*
                #[getter]
                #mark
                #signature -> #returned { #shown }
            }
        })
    }
}

/// Whether `py` or its lifetime is among the tokens.
fn names_py(tokens: proc_macro2::TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == "py",
        TokenTree::Group(group) => names_py(group.stream()),
        _ => false,
    })
}

/// The setter of a getter marked `#[assigned]`; the mark is taken off.
fn setter(item: &mut ImplItem) -> Option<ImplItem> {
    let ImplItem::Fn(ImplItemFn { attrs, sig, .. }) = item else { return None };
    let at = attrs.iter().position(|attribute| attribute.path().is_ident("assigned"))?;
    attrs.remove(at);
    let field = &sig.ident;
    let (setter, name) = (format_ident!("set_{field}"), field.to_string());
    Some(parse_quote! {
        #[setter(#field)]
        fn #setter(&self, value: &::pyo3::Bound<'_, ::pyo3::PyAny>) -> ::pyo3::PyResult<()> {
            self.assign(#name, value)
        }
    })
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
