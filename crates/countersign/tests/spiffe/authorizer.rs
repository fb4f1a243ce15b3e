use countersign::spiffe::{Authorizer, SpiffeId, TrustDomain};

fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

fn td(text: &str) -> TrustDomain {
    TrustDomain::parse(text).unwrap()
}

#[test]
fn any_id_one_of_member_of() {
    let a = id("spiffe://td/a");
    assert!(Authorizer::any().permits(&a));
    assert!(Authorizer::default().permits(&a));
    assert!(Authorizer::id(id("SPIFFE://TD/a")).permits(&a));
    assert!(!Authorizer::id(id("spiffe://td/A")).permits(&a));
    assert!(Authorizer::one_of([id("spiffe://td/b"), a.clone()]).permits(&a));
    assert!(!Authorizer::one_of([id("spiffe://td/b")]).permits(&a));
    assert!(Authorizer::member_of(td("td")).permits(&a));
    assert!(!Authorizer::member_of(td("t")).permits(&a));
}

#[test]
fn empty_lists_refuse_everybody() {
    let a = id("spiffe://td/a");
    assert!(!Authorizer::one_of([]).permits(&a));
    assert!(!Authorizer::any_of([]).permits(&a));
    assert!(!Authorizer::all_of([]).permits(&a));
    assert!(!Authorizer::any_of([Authorizer::all_of([])]).permits(&a));
}

#[test]
fn prefixes_end_at_segments() {
    let prefix = Authorizer::id_prefix(id("spiffe://td/shop"));
    for (text, welcome) in [
        ("spiffe://td/shop", true),
        ("spiffe://td/shop/web", true),
        ("spiffe://td/shop/web/1", true),
        ("spiffe://td/shopkeeper", false),
        ("spiffe://td/sho", false),
        ("spiffe://td/SHOP/web", false),
        ("spiffe://td", false),
        ("spiffe://other/shop/web", false),
    ] {
        assert_eq!(prefix.permits(&id(text)), welcome, "{text}");
    }
    let domain = Authorizer::id_prefix(td("td").id());
    assert!(domain.permits(&id("spiffe://td/x")));
    assert!(domain.permits(&id("spiffe://td")));
    assert!(!domain.permits(&id("spiffe://td.evil/x")));
}

#[test]
fn combinations() {
    let shop = || Authorizer::id_prefix(id("spiffe://td/shop"));
    let test = || Authorizer::id(id("spiffe://td/shop/test"));
    let both = Authorizer::all_of([shop(), Authorizer::not(test())]);
    assert!(both.permits(&id("spiffe://td/shop/web")));
    assert!(!both.permits(&id("spiffe://td/shop/test")));
    let either = Authorizer::any_of([test(), Authorizer::member_of(td("other"))]);
    assert!(either.permits(&id("spiffe://other/x")));
    assert!(!either.permits(&id("spiffe://td/x")));
    let even = Authorizer::custom("an even path", |id| id.path().len().is_multiple_of(2));
    assert!(even.permits(&id("spiffe://td/a")));
    assert!(!even.permits(&id("spiffe://td/ab")));
}

#[test]
fn refusals_say_who_would_have_been_welcome() {
    let refused = Authorizer::all_of([
        Authorizer::member_of(td("td")),
        Authorizer::not(Authorizer::one_of((0..20).map(|n| id(&format!("spiffe://td/{n}"))))),
    ]);
    let error = refused.authorize(&id("spiffe://td/1")).unwrap_err();
    assert_eq!(error.id, id("spiffe://td/1"));
    let text = error.to_string();
    assert!(text.contains("all of a member of td, not (one of spiffe://td/0"), "{text}");
    assert!(text.contains("and 12 more"), "{text}");
    let nobody = Authorizer::one_of([]).authorize(&id("spiffe://td/1")).unwrap_err();
    assert!(nobody.to_string().contains("nobody"), "{nobody}");
}

#[test]
fn authorizers_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Authorizer>();
    shared::<SpiffeId>();
    shared::<TrustDomain>();
    shared::<countersign::spiffe::X509Svid>();
    shared::<countersign::spiffe::JwtSvid>();
    shared::<countersign::spiffe::X509Bundle>();
    shared::<countersign::spiffe::JwtBundle>();
    shared::<countersign::spiffe::SpiffeBundle>();
    shared::<countersign::spiffe::BundleSet>();
    shared::<countersign::spiffe::BundleMap>();
}
