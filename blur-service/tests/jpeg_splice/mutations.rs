//! Broken files, thousands of them from one seed: no panic, and nothing unproven passes for a result.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Scale},
    redact::{Look, Region},
};

use crate::{
    Random,
    pictures::{Recipe, arithmetic, encoded, progressive, recipes},
    redact,
};

const CASES: usize = 6000;

#[test]
fn mutated_files_never_panic() {
    let files: Vec<Vec<u8>> = recipes()
        .into_iter()
        .step_by(3)
        .map(|recipe| encoded(recipe, 131, 75))
        .collect();
    let mut random = Random::new(2024);
    let mut spliced = 0;
    for case in 0..CASES {
        let file = mutated(&files[case % files.len()], &mut random);
        let region = Region {
            x: random.below(140) as u32,
            y: random.below(80) as u32,
            width: random.below(60) as u32,
            height: random.below(60) as u32,
        };
        let work = || {
            if let Ok(jpeg) = Jpeg::parse(&file, &Limits::default()) {
                for scale in Scale::ALL {
                    drop(jpeg.scan(Some(scale), &|| true));
                }
            }
            redact(&file, &[region], Look::Smooth, 1)
        };
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(output)) => {
                spliced += 1;
                assert!(
                    redact(&output, &[], Look::Smooth, 1).is_ok(),
                    "case {case}: the output is not readable"
                );
            }
            Ok(Err(JpegError::Unproven(what))) => panic!("case {case}: {what}"),
            Ok(Err(_)) => {}
            Err(_) => panic!("case {case} panicked"),
        }
    }
    assert!(
        spliced > CASES / 50,
        "only {spliced} of {CASES} were readable: the mutations are too wild"
    );
}

#[test]
fn mutated_files_in_several_scans_never_panic() {
    let files: Vec<Vec<u8>> = recipes()
        .into_iter()
        .step_by(3)
        .map(|recipe| progressive(recipe, 131, 75))
        .collect();
    never_panic_in_one_scan(&files);
}

#[test]
fn mutated_files_in_arithmetic_codes_never_panic() {
    let file = |recipe: Recipe| {
        let huffman = encoded(recipe, 131, 75);
        [false, true].map(|is_progressive| arithmetic(&huffman, is_progressive, recipe.restart_interval))
    };
    let files: Vec<Vec<u8>> = recipes().into_iter().step_by(3).flat_map(file).collect();
    never_panic_in_one_scan(&files);
}

fn never_panic_in_one_scan(files: &[Vec<u8>]) {
    let mut random = Random::new(77);
    let mut whole = 0;
    for case in 0..CASES {
        let file = mutated(&files[case % files.len()], &mut random);
        let work = || Jpeg::parse(&file, &Limits::default())?.in_one_scan(&|| true);
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(output)) => {
                whole += 1;
                assert!(redact(&output, &[], Look::Smooth, 1).is_ok(), "case {case}");
            }
            Ok(Err(JpegError::Unproven(what))) => panic!("case {case}: {what}"),
            Ok(Err(_)) => {}
            Err(_) => panic!("case {case} panicked"),
        }
    }
    assert!(whole > CASES / 50, "only {whole} of {CASES} were readable");
}

fn mutated(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(file.len());
        match random.below(6) {
            0 => file[at] = random.byte(),
            1 => file[at] ^= 1 << random.below(8),
            2 => file[at] = 0xff,
            3 if random.below(4) == 0 => file.truncate(at.max(2)),
            4 => drop(file.splice(at..at, [random.byte(), 0xff])),
            // Headers are where the traps are.
            _ => {
                let at = at % 640.min(file.len());
                file[at] = random.byte();
            }
        }
    }
    file
}
