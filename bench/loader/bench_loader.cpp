// Speed of reading, decoding and augmenting the pictures of a folder or of shards, beside that of
// torchvision and beside libjpeg alone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/loader/libjpeg_floor.h"
#include "bench/support/bench_options.h"
#include "data/batches/encoded_loader.h"
#include "experiments/command_line/program.h"
#include "experiments/datasets/child_process.h"
#include "experiments/datasets/picture_parts.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace {

constexpr int64_t kChannels = 3;
constexpr int kSkipped = 77;  ///< exit code of torch_loader.py

struct Options {
  std::string folder;
  int64_t size = 224;
  std::vector<int64_t> workers = {1, 2};
  std::string crop = "random";
  int64_t batch_size = 64;
  int64_t prefetch = 3;
  int threads = 1;
  double seconds = 10.0;
  std::string torch;
  std::vector<std::string> decoders = {"pillow", "torchvision"};
  int64_t pairs = 3;
  bool fast_decode = false;
  bool noise = false;
  bool floor = false;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("folder", options.folder,
                 "JPEGs in class folders, as make_photos.py makes them, or in the shards that "
                 "pal-data pack makes of those; of a set in parts the first")
      ->required();
  app.add_option("--size", options.size, "side of the images")->capture_default_str();
  app.add_option("--workers", options.workers,
                 "threads that decode, one number after the other; 0: the one that asks")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--crop", options.crop, "random or center")
      ->check(CLI::IsMember({"random", "center"}))
      ->capture_default_str();
  app.add_option("--batch-size", options.batch_size)->capture_default_str();
  app.add_option("--prefetch", options.prefetch, "batches decoded ahead")->capture_default_str();
  app.add_option("--threads", options.threads, "that normalise, beside the workers")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "of each measurement")->capture_default_str();
  app.add_option(
      "--torch", options.torch,
      "a Python with torchvision: measures torch_loader.py in turns and prints the ratio");
  app.add_option("--decoders", options.decoders,
                 "of the rival: pillow, torchvision (tensors and transforms.v2), or both")
      ->delimiter(',')
      ->check(CLI::IsMember({"pillow", "torchvision"}))
      ->capture_default_str();
  app.add_option("--pairs", options.pairs, "turns with --torch and --floor")->capture_default_str();
  app.add_flag("--fast-decode", options.fast_decode, "lets the decoder scale down");
  app.add_flag("--noise", options.noise, "adds noise of one level, as flows train; no rival does");
  app.add_flag("--floor", options.floor,
               "in turns with libjpeg alone on the same bytes, one thread: whole pictures, and the "
               "parts that random crops need");
  app.add_flag("--json", options.json, "figures as a JSON array on stdout");
}

struct Figures {
  double images_per_s = 0.0;
  double images_per_cpu_s = 0.0;  ///< for each second of a processor
  double stall_share = 0.0;       ///< of the time, of the thread that asks
};

/// The figures of all turns of one side.
struct Turns {
  std::vector<double> rates;
  std::vector<double> cpu_rates;
  std::vector<double> stalls;

  void add(const Figures& figures) {
    rates.push_back(figures.images_per_s);
    cpu_rates.push_back(figures.images_per_cpu_s);
    stalls.push_back(figures.stall_share);
  }
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

/// Of each pair: both saw the same machine.
std::vector<double> ratios(const std::vector<double>& ours, const std::vector<double>& theirs) {
  std::vector<double> ratios;
  for (size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / theirs[i]);
  return ratios;
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    pal::expect(options.seconds > 0.0, "--seconds: expected a positive number, got {}",
                options.seconds);
    pal::expect(options.pairs >= 1, "--pairs: expected at least 1, got {}", options.pairs);
    pal::set_thread_count(options.threads);
    source_ = std::move(pal::open_parts({options.folder})[0].source);
    // All files are in the page cache from here on, for both rivals.
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < source_->count(); ++i) {
      source_->read(i, bytes, int64_t{1} << 30);
      mean_bytes_ += static_cast<double>(bytes.size()) / static_cast<double>(source_->count());
    }
  }

  void run() {
    const bool alone = options_.torch.empty() && !options_.floor;
    for (const int64_t workers : options_.workers) {
      Turns ours, whole, parts;
      std::map<std::string, Turns> rivals;
      for (int64_t turn = 0; turn < (alone ? 1 : options_.pairs); ++turn) {
        ours.add(measure(workers));
        if (options_.floor) {
          whole.add(measure_libjpeg(false));
          parts.add(measure_libjpeg(true));
        }
        if (options_.torch.empty()) continue;
        for (const std::string& decoder : options_.decoders)
          if (const auto theirs = measure_torch(workers, decoder)) rivals[decoder].add(*theirs);
      }
      report(workers, ours);
      if (options_.floor) {
        report_floor("whole", whole, ours);
        report_floor("parts", parts, ours);
      }
      for (const auto& [decoder, theirs] : rivals) report_torch(decoder, theirs, ours);
    }
    if (options_.json) pal::print_result(rows_.dump(1));
  }

 private:
  Figures measure(int64_t workers) const {
    const pal::LoaderOptions loader_options = options_of(workers);
    std::vector<int64_t> indices(static_cast<size_t>(source_->count()));
    for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
    pal::EncodedLoader loader(*source_, options_.size, kChannels, indices, loader_options);
    int64_t batches = 0;
    const auto next = [&] {
      loader.batch(batches / loader.steps(), batches % loader.steps());
      ++batches;
    };
    // Until the batches that were decoded before anybody asked are used up.
    for (int64_t i = 0; i < 2 + options_.prefetch; ++i) next();
    const int64_t warm_up = batches;
    const double start = wall_seconds();
    const double cpu_start = cpu_seconds();
    const double stall_start = loader.stall_seconds();
    while (wall_seconds() - start < options_.seconds) next();
    const double seconds = wall_seconds() - start;
    const auto images = static_cast<double>((batches - warm_up) * options_.batch_size);
    return {images / seconds, images / (cpu_seconds() - cpu_start),
            (loader.stall_seconds() - stall_start) / seconds};
  }

  pal::LoaderOptions options_of(int64_t workers) const {
    pal::LoaderOptions loader;
    loader.batch_size = options_.batch_size;
    loader.flip = options_.crop == "random";
    loader.noise = options_.noise;
    loader.mean = {0.485F, 0.456F, 0.406F};
    loader.std = {0.229F, 0.224F, 0.225F};
    loader.transform.crop =
        options_.crop == "random" ? pal::CropKind::random_resized : pal::CropKind::center;
    loader.transform.fast_decode = options_.fast_decode;
    loader.workers = workers;
    loader.prefetch = options_.prefetch;
    return loader;
  }

  /// Nothing if the Python lacks what the decoder needs.
  std::optional<Figures> measure_torch(int64_t workers, const std::string& decoder) {
    const std::string script = std::string(PAL_BENCH_DIR) + "/loader/torch_loader.py";
    const pal::CommandResult result = pal::run_command(
        {options_.torch, script, options_.folder, "--json", "--decoder", decoder, "--size",
         std::to_string(options_.size), "--crop", options_.crop, "--workers",
         std::to_string(workers), "--batch-size", std::to_string(options_.batch_size), "--prefetch",
         std::to_string(options_.prefetch), "--seconds", fmt::format("{}", options_.seconds)});
    if (result.code == kSkipped) {
      pal::print_warning(pal::last_line(result.errors));
      return {};
    }
    if (result.code != 0)
      pal::fail(pal::ErrorKind::environment, "torch_loader.py: exit code {}: {}", result.code,
                pal::last_line(result.errors));
    const auto theirs = nlohmann::json::parse(result.output);
    torch_names_[decoder] = theirs.at("framework").get<std::string>();
    return Figures{theirs.at("images_per_s").get<double>(),
                   theirs.at("images_per_cpu_s").get<double>()};
  }

  /// Pictures per second by libjpeg, one thread: whole, or the parts that random crops need.
  Figures measure_libjpeg(bool parts) const {
    pal::LibjpegFloor floor(*source_, options_of(0).transform);
    const double start = wall_seconds();
    const double cpu_start = cpu_seconds();
    int64_t images = 0;
    for (; wall_seconds() - start < options_.seconds; ++images)
      parts ? floor.decode_part(images) : floor.decode_whole(images);
    const auto count = static_cast<double>(images);
    return {count / (wall_seconds() - start), count / (cpu_seconds() - cpu_start)};
  }

  void report(int64_t workers, const Turns& turns) {
    const double rate = median(turns.rates);
    const double megabytes = 1e-6 * rate * mean_bytes_;
    rows_.push_back({{"workers", workers},
                     {"crop", options_.crop},
                     {"size", options_.size},
                     {"fast_decode", options_.fast_decode},
                     {"noise", options_.noise},
                     {"mean_file_bytes", mean_bytes_},
                     {"images_per_s", rate},
                     {"images_per_cpu_s", median(turns.cpu_rates)},
                     {"mb_per_s", megabytes},
                     {"stall_share", median(turns.stalls)}});
    if (options_.json) return;
    pal::print_result(fmt::format(
        "{} workers  {} crop {}{}{}: {:8.1f} images/s  {:7.1f} per core  {:6.1f} MB/s of files of "
        "{:.0f} kB  waiting {:3.0f} % of the time",
        workers, options_.crop, options_.size, options_.fast_decode ? " fast" : "",
        options_.noise ? " noise" : "", rate, median(turns.cpu_rates), megabytes,
        1e-3 * mean_bytes_, 100.0 * median(turns.stalls)));
  }

  void report_floor(const std::string& what, const Turns& theirs, const Turns& ours) {
    const std::vector<double> shares = ratios(ours.cpu_rates, theirs.cpu_rates);
    rows_.back()["libjpeg_" + what] = {{"images_per_cpu_s", median(theirs.cpu_rates)},
                                       {"ratios_per_cpu_s", shares},
                                       {"ratio_per_cpu_s", median(shares)}};
    if (options_.json) return;
    pal::print_result(
        fmt::format("libjpeg alone, {}: {:.1f} per core; we make {:.2f} times as many", what,
                    median(theirs.cpu_rates), median(shares)));
  }

  void report_torch(const std::string& decoder, const Turns& theirs, const Turns& ours) {
    const std::vector<double> rate_ratios = ratios(ours.rates, theirs.rates);
    const std::vector<double> cpu_rate_ratios = ratios(ours.cpu_rates, theirs.cpu_rates);
    rows_.back()["torch_" + decoder] = {{"framework", torch_names_[decoder]},
                                        {"images_per_s", median(theirs.rates)},
                                        {"images_per_cpu_s", median(theirs.cpu_rates)},
                                        {"ratios", rate_ratios},
                                        {"ratio", median(rate_ratios)},
                                        {"ratios_per_cpu_s", cpu_rate_ratios},
                                        {"ratio_per_cpu_s", median(cpu_rate_ratios)}};
    if (options_.json) return;
    const auto [least, most] = std::minmax_element(rate_ratios.begin(), rate_ratios.end());
    pal::print_result(
        fmt::format("{}, decoder {}: {:.1f} images/s, {:.1f} per core; we make {:.2f} ({:.2f} to "
                    "{:.2f}) times as many, {:.2f} times per core",
                    torch_names_[decoder], decoder, median(theirs.rates), median(theirs.cpu_rates),
                    median(rate_ratios), *least, *most, median(cpu_rate_ratios)));
  }

  const Options& options_;
  std::unique_ptr<pal::PictureSource> source_;
  double mean_bytes_ = 0.0;
  std::map<std::string, std::string> torch_names_;
  nlohmann::ordered_json rows_ = nlohmann::ordered_json::array();
};

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program("bench_loader", [&] {
    CLI::App app("Measures how fast the loader makes batches of encoded pictures.", "bench_loader");
    Options options;
    add_options(app, options);
    if (!pal::parse_bench_options(app, argc, argv)) return 0;
    Bench(options).run();
    return 0;
  });
}
