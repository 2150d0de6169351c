//! Filters: by calls and as text, with an index, and what `explain` says of them.
//!
//!     cargo run --release --example filters

use marcato::{Collection, Filter, FilterValue, Passage, Result};

fn main() -> Result<()> {
    let places = Collection::options().index_field("country").in_memory()?;
    let place = |text: &str, country: &str, inhabitants: u64, census: &str| {
        Passage::new(text).field("country", country).field("inhabitants", inhabitants).field("census", census)
    };
    places.add([
        place("London lies on the Thames", "GB", 9_787_426, "2011-03-27"),
        place("Paris lies on the Seine", "FR", 2_102_650, "2023-01-01"),
        place("Leeds lies on the Aire", "GB", 751_485, "2011-03-27"),
        place("Ely lies on the Great Ouse", "GB", 20_574, "2021-03-21"),
    ])?;

    let large = Filter::field("country").eq("GB").and(Filter::field("inhabitants").ge(100_000));
    let counted = Filter::field("census").le(FilterValue::date("2011-12-31")?);
    for hit in places.query("a city on a river").filter(large.and(counted)).run()? {
        println!("{:.3}  {}", hit.score, hit.text);
    }

    // The same as text, which may come from a user: what is wrong with it is said with its place.
    let text = r#"country = "GB" and inhabitants >= 100000 and census <= date("2011-12-31")"#;
    let explanation = places.query("a city on a river").filter(text.parse()?).explain()?;
    print!("{explanation}");
    assert_eq!((explanation.matches, explanation.hits.len()), (Some(2), 2));
    assert_eq!(explanation.read, 3, "the index of country left three passages to read");
    if let Err(error) = "country = GB".parse::<Filter>() {
        println!("{error}");
    }

    places.create_field_index("inhabitants")?;
    places.create_field_index("census")?;
    assert_eq!(places.query("a city on a river").filter(text.parse()?).explain()?.read, 0);
    Ok(())
}
