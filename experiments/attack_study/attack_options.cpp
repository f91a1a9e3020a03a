#include "experiments/attack_study/attack_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// The words of a list with commas, each one of `known`. Throws usage naming the flag.
std::vector<size_t> words_of(const std::string& list, const std::vector<std::string>& known,
                             const std::string& flag) {
  std::vector<size_t> found;
  size_t begin = 0;
  while (begin <= list.size()) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string word(trimmed(list.substr(begin, end - begin)));
    const auto at = std::ranges::find(known, word);
    if (at == known.end())
      fail(ErrorKind::usage, "{}: expected {}, got '{}'", flag,
           fmt::format("some of {}", fmt::join(known, ", ")), word);
    const auto place = static_cast<size_t>(at - known.begin());
    expect(std::ranges::find(found, place) == found.end(), "{}: {} is named twice", flag, word);
    found.push_back(place);
    begin = end + 1;
  }
  return found;
}

/// A loss with its detection term.
struct NamedLoss {
  AttackLoss loss;
  double d;
};
constexpr NamedLoss kLosses[] = {{AttackLoss::cross_entropy, 0.0},
                                 {AttackLoss::dlr, 0.0},
                                 {AttackLoss::margin, 0.0},
                                 {AttackLoss::margin, kAdaptiveWeight}};
const std::vector<std::string> kLossNames = {"ce", "dlr", "margin", "adaptive"};
constexpr AttackKind kKinds[] = {AttackKind::cw, AttackKind::ddn, AttackKind::pgd, AttackKind::fgsm,
                                 AttackKind::square};
const std::vector<std::string> kKindNames = {"cw", "ddn", "pgd", "fgsm", "square"};

/// Files are named by these numbers, so they differ in the digits of names.
void expect_different(const std::vector<double>& values, const char* flag) {
  for (size_t i = 0; i < values.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      expect(setting_number(values[i]) != setting_number(values[k]),
             "{}: {} is given twice, in the first four digits", flag, setting_number(values[i]));
}

/// The attacks that are asked for; "none" leaves the robust curve alone.
std::vector<size_t> kinds_of(const AttackOptions& o) {
  if (o.attacks == "none") {
    expect(!o.robust_curve.empty(), "--attack none: leaves nothing to do but --robust-curve");
    return {};
  }
  return words_of(o.attacks, kKindNames, "--attack");
}

/// The settings of a kind within a ball.
void add_bounded(const AttackOptions& o, const AttackSetting& like, double eps,
                 const std::vector<NamedLoss>& losses, std::vector<AttackSetting>& settings) {
  AttackSetting setting = like;
  setting.eps = eps;
  if (setting.kind == AttackKind::square) {
    setting.targeted = !o.untargeted;
    settings.push_back(setting);
    return;
  }
  for (const NamedLoss& loss : losses) {
    setting.loss = loss.loss;
    setting.d = loss.d;
    settings.push_back(setting);
  }
}

std::vector<NamedLoss> losses_of(const std::string& text, const char* usual) {
  std::vector<NamedLoss> losses;
  for (const size_t place : words_of(text.empty() ? usual : text, kLossNames, "--loss"))
    losses.push_back(kLosses[place]);
  return losses;
}

/// Refuses what the attacks that are asked for take no notice of.
void check_effects(const AttackOptions& o, const std::vector<size_t>& kinds) {
  const AttackOptions usual;
  const auto any = [&](std::initializer_list<AttackKind> wanted) {
    return std::ranges::any_of(kinds, [&](size_t place) {
      return std::ranges::find(wanted, kKinds[place]) != wanted.end();
    });
  };
  const bool curve = !o.robust_curve.empty();
  const bool cw = any({AttackKind::cw}), ddn = any({AttackKind::ddn});
  const bool gradient = any({AttackKind::pgd, AttackKind::fgsm}),
             square = any({AttackKind::square});
  const bool bounded = gradient || square;
  expect(!bounded || !o.eps.empty() || curve,
         "--eps: pgd, fgsm and square need a radius, such as --eps 0.03");
  expect(o.eps.empty() || bounded,
         "--eps: is the radius of pgd, fgsm and square; --attack has none of them");
  expect(o.losses.empty() || gradient || curve,
         "--loss: is that of pgd and fgsm; --attack has neither");
  expect(!(square && o.norm == "l2"), "--norm: square is made for linf");
  expect(o.norm == usual.norm || bounded || curve,
         "--norm: is that of --eps and --robust-curve; cw and ddn are of L2 anyway");
  expect(o.protocols == usual.protocols || cw, "--protocol: is of cw; --attack has none");
  expect(o.c == usual.c || cw, "--c: is of cw; --attack has none");
  expect(o.detection == usual.detection || cw,
         "--detection: is of cw; to hide pgd and fgsm say --loss adaptive");
  expect(o.kappas == usual.kappas || cw || ddn, "--kappa: is of cw and ddn; --attack has neither");
  expect(o.restarts == usual.restarts || any({AttackKind::pgd}) || curve,
         "--restarts: are of pgd; --attack has none");
  expect(o.steps == usual.steps || cw || ddn || square || any({AttackKind::pgd}) || curve,
         "--steps: fgsm has one");
  expect(o.targets.empty() || !kinds.empty(), "--targets: the robust curve has none");
}

void list_settings(AttackOptions& o) {
  AttackSetting like;
  like.c = o.c;
  like.norm = o.norm == "l2" ? AttackNorm::l2 : AttackNorm::linf;
  like.restarts = o.restarts;
  like.steps = o.steps;
  like.seed = o.evaluation.run.seed;
  like.targeted = !o.untargeted;
  const auto protocols = words_of(o.protocols, {"converged", "paper"}, "--protocol");
  const std::vector<size_t> kinds = kinds_of(o);
  check_effects(o, kinds);
  bool square = false;
  for (const size_t place : kinds) {
    like.kind = kKinds[place];
    square = square || like.kind == AttackKind::square;
    if (like.kind == AttackKind::cw)
      for (const size_t protocol : protocols)
        for (const double kappa : o.kappas)
          for (const double d : o.detection) {
            AttackSetting setting = like;
            setting.protocol = protocol == 0 ? CwProtocol::converged : CwProtocol::paper;
            setting.kappa = kappa;
            setting.d = d;
            o.settings.push_back(setting);
          }
    if (like.kind == AttackKind::ddn)
      for (const double kappa : o.kappas) {
        if (std::isinf(kappa) && o.kappas.size() > 1) {
          log_warning("ddn: without kappa inf, which has no least distance");
          continue;
        }
        expect(!std::isinf(kappa), "--kappa: inf has no least distance; ddn needs a number");
        AttackSetting setting = like;
        setting.kappa = kappa;
        o.settings.push_back(setting);
      }
    if (like.bounded())
      for (const double eps : o.eps)
        add_bounded(o, like, eps, losses_of(o.losses, "ce"), o.settings);
  }
  // The curve: untargeted, with every loss.
  like.targeted = false;
  for (const double eps : o.robust_curve) {
    std::vector<AttackSetting> of_radius;
    like.kind = AttackKind::pgd;
    if (eps > 0.0) {
      add_bounded(o, like, eps, losses_of(o.losses, "ce,dlr,margin,adaptive"), of_radius);
      if (square) {
        like.kind = AttackKind::square;
        AttackSetting setting = like;
        setting.eps = eps;
        of_radius.push_back(setting);
      }
    }
    o.curve.push_back(std::move(of_radius));
  }
}

}  // namespace

void add_attack_options(OptionTable& table, AttackOptions& o) {
  EvaluateOptions& e = o.evaluation;
  table.positionals("CHECKPOINT", e.checkpoints,
                    "Checkpoints or run folders, then perhaps the folder of the images; else the "
                    "data that the runs were trained on");
  table.group("Attacks");
  table
      .text("attack", o.attacks,
            "cw (Carlini-Wagner, the paper's), ddn (least L2 distance), pgd (APGD within a ball), "
            "fgsm (one step), square (no gradients, a check of the others); none: the robust curve "
            "alone")
      .unit("NAME,...");
  table
      .text("protocol", o.protocols,
            "Of cw: converged (1,000 steps at a falling rate, then a search towards the original), "
            "paper (rate 0.01, an image stops after 20 steps without improvement: it goes farther "
            "than it must)")
      .unit("NAME,...");
  table
      .numbers("kappa", o.kappas, 0,
               "By how many nats the target's score shall lead, of cw and ddn; inf: as far as it "
               "pays")
      .at_least(0)
      .word("inf", kInfinite);
  table
      .numbers("detection", o.detection, 0,
               "Weight d of the term that hides cw from a test of densities; 0: none")
      .letter('d')
      .at_least(0)
      .at_most(1e9);
  table.number("c", o.c, "Weight of cw's margin against the squared distance").above(0);
  table.choice<std::string>("norm", o.norm, {{"linf", "linf"}, {"l2", "l2"}},
                            "Which distance --eps and --robust-curve bound");
  table.numbers("eps", o.eps, 0, "Radii of pgd, fgsm and square, of values in [0, 1]")
      .above(0)
      .at_most(1000)
      .shown_default("none");
  table
      .text("loss", o.losses,
            "Of pgd and fgsm: ce (cross-entropy), dlr, margin, adaptive (margin + 66 (median - ln "
            "q / D)^2: also goes unnoticed)")
      .unit("NAME,...")
      .shown_default("ce; of --robust-curve all that the model has");
  table.toggle("untargeted", o.untargeted,
               "Any wrong class is the goal; else one drawn for "
               "each image");
  table
      .whole("steps", o.steps,
             "Steps at most; auto: cw 1,000 or (paper) 2,000, ddn 300, pgd 50, square 1,000 images")
      .at_least(1)
      .at_most(1000000)
      .word("auto", 0);
  table.whole("restarts", o.restarts, "Starts of pgd, all but the first at random")
      .at_least(1)
      .at_most(200);
  table
      .numbers("robust-curve", o.robust_curve, 0,
               "Robust accuracy at these radii: the worst case over untargeted pgd with every "
               "--loss (and square, if --attack has it), plain, and for a system with a detector: "
               "wrong and not noticed")
      .at_least(0)
      .at_most(1000)
      .unit("EPS,...")
      .shown_default("none");
  table.toggle("transfer", o.transfer,
               "Also judge each model on the images that the same attacks made of the others");
  table
      .file("targets", o.targets,
            "A CSV file with the columns index and target (a class number), a line for each image; "
            "results have one, targets.csv")
      .shown_default("drawn by --seed");
  table.group("Results");
  table
      .text("output", o.output,
            "Folder for results: tables, pictures, images as safetensors, and a file for each "
            "batch, from which the same command goes on after a stop")
      .letter('o')
      .unit("DIR");
  table.whole("sheet", o.sheet, "Images in the sheets of pictures, at most; 0: no sheets")
      .unit("IMAGES")
      .at_least(0)
      .at_most(200);
  table
      .whole("trace", o.trace,
             "Images whose way through the latent space is kept and drawn, under the first cw "
             "setting")
      .unit("IMAGES")
      .at_least(0)
      .at_most(100);
  table.group("Images");
  table
      .whole("reference", o.reference,
             "Training images that the test of densities knows, at most, evenly spread")
      .unit("IMAGES")
      .at_least(2);
  table.whole("count", e.most_images, "Test images at most, evenly spread")
      .letter('n')
      .unit("IMAGES")
      .at_least(1)
      .word("all", 0);
  table.toggle("allow-other-classes", e.allow_other_classes,
               "Take classes by position if the model does not know their names");
  add_data_options(table, e.data);
  table
      .whole("batch-size", e.batch_size,
             "Images that are attacked at once; auto: as suits the device, at most 100")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .word("auto", -1);
  table
      .custom(
          "activation-memory", OptionKind::text,
          [&o](const std::string& text) { o.memory = MemoryRequest::parse(text); },
          [&o] { return o.memory.text(); },
          "auto: the fastest plan within 1.5 times the activations of rebuilding every block; min: "
          "the least; max: store everything; or a limit such as 512MiB")
      .unit("BYTES")
      .values({"auto", "min", "max"});
  add_progress_option(table, o.progress);
  add_run_options(table, e.run);
}

void finish_attack_options(AttackOptions& o) {
  // An attacker may make the model name any class.
  o.evaluation.restrict_classes = false;
  finish_evaluate_options(o.evaluation);
  expect(!o.kappas.empty(), "--kappa: expected a number");
  expect(!o.detection.empty(), "--detection: expected a number");
  for (const auto& [values, flag] : {std::pair(&o.kappas, "--kappa"),
                                     {&o.detection, "--detection"},
                                     {&o.eps, "--eps"},
                                     {&o.robust_curve, "--robust-curve"}})
    expect_different(*values, flag);
  std::ranges::sort(o.robust_curve);
  list_settings(o);
  expect(!o.untargeted || o.targets.empty(),
         "--targets: says which classes; --untargeted has none");
  for (AttackSetting& setting : o.settings) setting.targeted = !o.untargeted;
  expect(!o.transfer || o.evaluation.checkpoints.size() > 1,
         "--transfer: needs several models, to judge each on images made of the others");
  const bool has_cw = std::ranges::any_of(
      o.settings, [](const AttackSetting& s) { return s.kind == AttackKind::cw; });
  expect(o.trace == 0 || has_cw, "--trace: is of cw; --attack has none");
  expect(o.trace == 0 || !o.output.empty(), "--trace: goes with -o, where its files go");
  expect(o.output.empty() || !path_is_file(o.output), "-o: {}: a file; name a folder", o.output);
}

}  // namespace pal
