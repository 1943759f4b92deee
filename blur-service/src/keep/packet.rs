//! The one packet of XMP that is written: the values that are kept, and what makes them XMP.

use super::Field;

pub fn of(values: &[(Field, String)]) -> String {
    let properties: String = values.iter().map(|(field, value)| property(*field, value)).collect();
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:photoshop=\"http://ns.adobe.com/photoshop/1.0/\" xmlns:exif=\"http://ns.adobe.com/exif/1.0/\">\n\
         {properties}</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end=\"r\"?>"
    )
}

fn property(field: Field, value: &str) -> String {
    let value = escaped(value);
    let translated = |name: &str| {
        format!("<dc:{name}><rdf:Alt><rdf:li xml:lang=\"x-default\">{value}</rdf:li></rdf:Alt></dc:{name}>\n")
    };
    match field {
        Field::Copyright => translated("rights"),
        Field::Caption => translated("description"),
        Field::Creator => format!("<dc:creator><rdf:Seq><rdf:li>{value}</rdf:li></rdf:Seq></dc:creator>\n"),
        Field::Credit => format!("<photoshop:Credit>{value}</photoshop:Credit>\n"),
        Field::Headline => format!("<photoshop:Headline>{value}</photoshop:Headline>\n"),
        Field::Gps => coordinates(&value).unwrap_or_default(),
    }
}

/// Decimal degrees as XMP has them: degrees, minutes, and the side of the globe.
fn coordinates(value: &str) -> Option<String> {
    let (latitude, longitude) = value.split_once(',')?;
    let written = |degrees: &str, sides: [char; 2]| {
        let degrees: f64 = degrees.parse().ok()?;
        let side = sides[usize::from(degrees < 0.0)];
        let minutes = degrees.abs().fract() * 60.0;
        Some(format!("{},{minutes:.5}{side}", degrees.abs().trunc()))
    };
    Some(format!(
        "<exif:GPSLatitude>{}</exif:GPSLatitude><exif:GPSLongitude>{}</exif:GPSLongitude>\n",
        written(latitude, ['N', 'S'])?,
        written(longitude, ['E', 'W'])?
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_become_markup_and_coordinates_are_xmps() {
        let values = [
            (Field::Copyright, "</rdf:RDF><x>&".to_owned()),
            (Field::Gps, "-33.500000,151.250000".to_owned()),
        ];
        let packet = of(&values);
        assert!(roxmltree::Document::parse(&packet).is_ok());
        assert!(packet.contains("&lt;/rdf:RDF&gt;&lt;x&gt;&amp;"), "{packet}");
        assert!(
            packet.contains("<exif:GPSLatitude>33,30.00000S</exif:GPSLatitude>"),
            "{packet}"
        );
        assert!(
            packet.contains("<exif:GPSLongitude>151,15.00000E</exif:GPSLongitude>"),
            "{packet}"
        );
    }
}
