//! Parses `src/` with syn: every module without its tests, and all paths in its code, resolved.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, File, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, UseTree,
    ext::IdentExt,
    visit::{self, Visit},
};

use crate::support::python;

/// A module of the library, or `main`: `["presign", "sign"]`. The code in lib.rs itself, except `mod`, counts as `pb`.
pub struct Module {
    pub path: Vec<String>,
    /// The paths in its code, starting with the name of a crate: `crate::presign::name::Key`, `std::env::args`.
    pub uses: BTreeSet<Vec<String>>,
}

impl Module {
    /// The top-level module that it is, or that contains it.
    pub fn top(&self) -> &str {
        &self.path[0]
    }

    /// Whether it uses a crate or a part of a crate, such as `std::env`.
    pub fn uses_part_of(&self, part: &str) -> bool {
        self.uses.iter().any(|path| {
            let mut path = path.iter();
            part.split("::").all(|name| path.next().is_some_and(|own| own == name))
        })
    }
}

/// All modules that lib.rs and main.rs declare, directly or indirectly.
pub static MODULES: LazyLock<Vec<Module>> = LazyLock::new(modules);

fn modules() -> Vec<Module> {
    let mut modules = Vec::new();
    read(&python::repository("src/lib.rs"), &[], &mut modules);
    for lib in modules.iter_mut().filter(|module| module.path.is_empty()) {
        lib.path.push("pb".to_owned());
        lib.uses.retain(|path| path[0] != "crate");
    }
    read(&python::repository("src/main.rs"), &["main".to_owned()], &mut modules);
    assert!(modules.len() > 30, "{} modules", modules.len());
    modules
}

/// Reads one file, and the files of the modules that it declares.
fn read(file: &Path, path: &[String], modules: &mut Vec<Module>) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let names = Names::of(&syntax, path);
    let mut reader = Reader { here: path.to_vec(), names, uses: BTreeSet::new(), children: Vec::new() };
    reader.visit_file(&syntax);
    let Reader { uses, children, .. } = reader;
    modules.push(Module { path: path.to_vec(), uses });
    for child in children {
        read(&file_of(&child), &child, modules);
    }
}

fn file_of(module: &[String]) -> PathBuf {
    python::repository(&format!("src/{}.rs", module.join("/")))
}

/// The full path of each name that a file imports or declares.
struct Names(BTreeMap<String, Vec<String>>);

impl Names {
    fn of(file: &File, path: &[String]) -> Self {
        let mut imports = Imports { here: path.to_vec(), paths: BTreeMap::new() };
        imports.visit_file(file);
        Self(imports.paths)
    }

    /// The full path, starting with the name of a crate.
    fn resolve(&self, here: &[String], path: Vec<String>) -> Vec<String> {
        let path = absolute(here, path);
        match self.0.get(&path[0]) {
            Some(full) => full.iter().cloned().chain(path.into_iter().skip(1)).collect(),
            None => path,
        }
    }
}

/// Replaces `self` and `super`, and the library's name in main.rs.
fn absolute(here: &[String], mut path: Vec<String>) -> Vec<String> {
    if path[0] == "presignd" {
        path[0] = "crate".to_owned();
    }
    let supers = path.iter().take_while(|part| *part == "super").count();
    if supers == 0 && path[0] != "self" {
        return path;
    }
    let above = here[..here.len() - supers].iter().cloned();
    let rest = path.into_iter().skip(supers).filter(|part| part != "self");
    std::iter::once("crate".to_owned()).chain(above).chain(rest).collect()
}

/// Collects `use` and `mod`.
struct Imports {
    here: Vec<String>,
    paths: BTreeMap<String, Vec<String>>,
}

impl Visit<'_> for Imports {
    fn visit_item(&mut self, item: &Item) {
        match item {
            item if is_for_tests(attributes(item)) => {}
            Item::Use(ItemUse { tree, .. }) => {
                for (name, path) in leaves(tree) {
                    self.paths.insert(name, absolute(&self.here, path));
                }
            }
            Item::Mod(module) => {
                let name = module.ident.unraw().to_string();
                let path = std::iter::once("crate".to_owned()).chain(self.here.iter().cloned());
                self.paths.insert(name.clone(), path.chain([name.clone()]).collect());
                self.here.push(name);
                visit::visit_item_mod(self, module);
                self.here.pop();
            }
            item => visit::visit_item(self, item),
        }
    }
}

/// Collects every path.
struct Reader {
    here: Vec<String>,
    names: Names,
    uses: BTreeSet<Vec<String>>,
    /// The modules that have a separate file.
    children: Vec<Vec<String>>,
}

impl Reader {
    fn add(&mut self, path: Vec<String>) {
        // A single name was imported, and its import is counted already.
        if path.len() > 1 {
            self.uses.insert(self.names.resolve(&self.here, path));
        }
    }

    /// Adds the paths in the tokens of a macro call, which only the macro can parse.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.add(std::mem::take(&mut path));
                    }
                    path.push(name.unraw().to_string());
                    colons = 0;
                }
                other => {
                    self.add(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(path);
    }
}

impl Visit<'_> for Reader {
    fn visit_item(&mut self, item: &Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &ItemMod) {
        self.here.push(module.ident.unraw().to_string());
        if module.content.is_none() {
            // Modules of main.rs would be in src/ too, but main.rs declares none.
            self.children.push(self.here.clone());
        }
        visit::visit_item_mod(self, module);
        self.here.pop();
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        for (_, path) in leaves(&item.tree) {
            self.uses.insert(self.names.resolve(&self.here, path));
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, macro_call: &Macro) {
        self.visit_path(&macro_call.path);
        self.add_tokens(macro_call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &Attribute) {
        visit::visit_attribute(self, attribute);
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
    }
}

/// Each name that a `use` imports, and its path.
fn leaves(tree: &UseTree) -> Vec<(String, Vec<String>)> {
    let below = |name: &syn::Ident, tree| {
        let name = name.unraw().to_string();
        let with_it = |(leaf, mut path): (String, Vec<String>)| {
            path.insert(0, name.clone());
            // `use a::b::{self}` brings `b`.
            if leaf == "self" { (name.clone(), path) } else { (leaf, path) }
        };
        leaves(tree).into_iter().map(with_it).collect()
    };
    match tree {
        UseTree::Path(path) => below(&path.ident, &path.tree),
        UseTree::Name(name) if name.ident == "self" => vec![("self".to_owned(), Vec::new())],
        UseTree::Name(name) => vec![(name.ident.unraw().to_string(), vec![name.ident.unraw().to_string()])],
        UseTree::Rename(name) => vec![(name.rename.to_string(), vec![name.ident.unraw().to_string()])],
        UseTree::Glob(_) => vec![("*".to_owned(), vec!["*".to_owned()])],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
