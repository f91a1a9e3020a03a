#include "experiments/recipe/train_command.h"
#include "runtime/file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "experiments/command_line/options_file.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;
using testing::usage_error;

/// A command line of pal-train, read.
struct Command {
  TrainOptions options;
  OptionTable table{"pal-train", "Trains."};
  bool answered = false;

  explicit Command(const std::vector<std::string>& arguments) {
    add_train_options(table, options);
    std::vector<const char*> words = {"pal-train"};
    for (const std::string& argument : arguments) words.push_back(argument.c_str());
    answered = !read_train_options(table, options, static_cast<int>(words.size()), words.data());
  }
};

std::string error_of(const std::vector<std::string>& arguments) {
  return usage_error([&] { Command command(arguments); });
}

/// A run folder of the small flow on a known set, with a checkpoints folder and a configuration.
class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    fs::create_directories(folder_.file("run/checkpoints"));
    write_config("");
  }
  void write_config(const std::string& more) {
    config_ = folder_.write("run/config.toml",
                            "arch = \"ibinn-small\"\ndataset = \"fashion-mnist\"\nlr = 0.03\n"
                            "workers = 3\nepochs = 7\n" +
                                more);
  }

  TemporaryFolder folder_;
  std::string run_ = folder_.file("run");
  std::string config_;
};

TEST(TrainCommand, SourcesByStrength) {
  const TemporaryFolder folder;
  const std::string file =
      folder.write("a.toml", "arch = \"ibinn-small\"\nepochs = 3\nmomentum = 0.5\n");
  const Command command({"--dataset", "fashion-mnist", "--config", file, "--epochs", "5"});
  const auto origin = [&](const char* name) { return command.table.find(name)->origin(); };
  EXPECT_EQ(command.options.epochs, 5);
  EXPECT_EQ(origin("epochs"), Origin::command);
  EXPECT_EQ(command.options.update.momentum, 0.5);
  EXPECT_EQ(origin("momentum"), Origin::file);
  EXPECT_EQ(command.options.update.learning_rate, 0.003);
  EXPECT_EQ(origin("lr"), Origin::architecture);
  EXPECT_EQ(command.options.batch_size, 128);
  EXPECT_EQ(origin("batch-size"), Origin::standard);
}

TEST(TrainCommand, DataAreNamedOnce) {
  const auto data = [](const std::vector<std::string>& arguments) {
    const Command command(arguments);
    return command.options.data.dataset + "|" + command.options.data.folder;
  };
  const TemporaryFolder folder;
  const std::string& dir = folder.path();
  EXPECT_EQ(data({dir}), dir + "|");
  EXPECT_EQ(data({"--dir", dir}), dir + "|");
  EXPECT_EQ(data({"--dataset", dir}), dir + "|");
  EXPECT_EQ(data({"--dataset", "fashion-mnist"}), "fashion-mnist|");
  EXPECT_EQ(data({dir, "--dataset", "fashion-mnist"}), "fashion-mnist|" + dir);
  EXPECT_EQ(data({"--synthetic"}), "|");
  EXPECT_EQ(error_of({dir, "--dataset", "photos"}),
            "DIR: two data sets, '" + dir + "' and --dataset photos; name one");
  EXPECT_EQ(error_of({"--synthetic", dir}), "--synthetic: goes with no other data");
  EXPECT_EQ(error_of({"--synthetic", "--dataset", "digits"}),
            "--synthetic: goes with no other data");
  EXPECT_TRUE(error_of({}).starts_with("DIR: no data; for example: ")) << error_of({});
  EXPECT_EQ(data({"--print-config"}), "|");
}

TEST(TrainCommand, DataOfTheCommandLineReplaceThoseOfAFile) {
  const TemporaryFolder folder;
  const std::string named = folder.write("a.toml", "dataset = \"digits\"\ndir = \"/far\"\n");
  const std::string synthetic = folder.write("b.toml", "synthetic = true\n");
  const auto with = [&](const std::string& file, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", file});
    return Command(arguments).options;
  };
  EXPECT_EQ(with(named, {}).data.dataset, "digits");
  EXPECT_EQ(with(named, {}).data.folder, "/far");
  EXPECT_EQ(with(named, {folder.path()}).data.dataset, folder.path());
  EXPECT_EQ(with(named, {folder.path()}).data.folder, "");
  EXPECT_EQ(with(named, {"--dataset", "fashion-mnist"}).data.folder, "");
  EXPECT_TRUE(with(named, {"--synthetic"}).synthetic);
  EXPECT_EQ(with(named, {"--synthetic"}).data.dataset, "");
  EXPECT_TRUE(with(synthetic, {}).synthetic);
  EXPECT_FALSE(with(synthetic, {folder.path()}).synthetic);
  EXPECT_EQ(with(synthetic, {folder.path()}).data.dataset, folder.path());
}

TEST(TrainCommand, OptionsThatDoNotGoTogether) {
  EXPECT_EQ(error_of({"--resume", "a", "--init-from", "b"}),
            "--init-from: does not go with --resume, which has its weights from the run");
  EXPECT_EQ(error_of({"--synthetic", "--freeze", "network"}),
            "--freeze: a new network is random and would stay so; name one with --init-from");
  EXPECT_EQ(error_of({"--synthetic", "-a", "resnet-small", "--beta", "4"}),
            "--beta: is an option of flows, and this is a ResNet; leave it out, or choose another "
            "--arch");
}

TEST_F(RunTest, GoesOnAsItWas) {
  write_config("max-steps = 5\ninit-from = \"/gone\"\nolder-option = 3\n");
  const Command command({"--resume", run_});
  EXPECT_EQ(command.options.arch, "ibinn-small");
  EXPECT_EQ(command.options.data.dataset, "fashion-mnist");
  EXPECT_EQ(command.options.update.learning_rate, 0.03);
  EXPECT_EQ(command.options.data.workers, 3);
  EXPECT_EQ(command.table.find("lr")->origin(), Origin::run);
  EXPECT_EQ(command.options.output, run_);
  EXPECT_EQ(command.options.resume, "auto");
  // What that process was limited to is over.
  EXPECT_EQ(command.options.max_steps, 0);
  EXPECT_EQ(command.options.init_from, "/gone");  // kept, but not read
}

TEST_F(RunTest, IsNamedInManyWays) {
  const std::string checkpoint = folder_.write("run/checkpoints/step-5.safetensors", "");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--resume", run_ + "/"},
        {"--resume", run_ + "/checkpoints"},
        {"--resume", run_ + "/checkpoints/"},
        {"--resume", run_, "-o", run_},
        {"--resume", "auto", "-o", run_},
        {"--resume", "auto", "--config", config_}}) {
    const Command command(arguments);
    EXPECT_EQ(command.options.epochs, 7);
    EXPECT_EQ(command.options.output, run_);
    EXPECT_EQ(command.options.resume, "auto");
  }
  const Command file({"--resume", checkpoint});
  EXPECT_EQ(file.options.epochs, 7);
  EXPECT_EQ(file.options.output, run_);
  EXPECT_EQ(file.options.resume, checkpoint);
}

TEST_F(RunTest, ACheckpointIsFoundFromWithinItsFolder) {
  const fs::path before = fs::current_path();
  fs::create_directories(run_ + "/checkpoints");
  write_atomic(run_ + "/checkpoints/step-5.safetensors", "");
  fs::current_path(run_ + "/checkpoints");
  const Command command({"--resume", "step-5.safetensors"});
  fs::current_path(before);
  EXPECT_EQ(command.options.epochs, 7);
  EXPECT_EQ(command.options.output, run_);
}

TEST_F(RunTest, FlagsWin) {
  const std::string other = folder_.write("other.toml", "lr = 0.2\nworkers = 1\n");
  const Command command(
      {"--resume", run_, "--config", other, "--workers", "2", "--max-steps", "9"});
  EXPECT_EQ(command.options.update.learning_rate, 0.2);
  EXPECT_EQ(command.table.find("lr")->origin(), Origin::file);
  EXPECT_EQ(command.options.data.workers, 2);
  EXPECT_EQ(command.options.epochs, 7);
  EXPECT_EQ(command.options.max_steps, 9);
}

TEST_F(RunTest, DataOfTheCommandLineReplaceTheRuns) {
  const Command command({"--resume", run_, folder_.path()});
  EXPECT_EQ(command.options.data.dataset, folder_.path());
  EXPECT_EQ(command.options.data.folder, "");
  const Command moved({"--resume", run_, "--dataset", "fashion-mnist", "--dir", "/new"});
  EXPECT_EQ(moved.options.data.dataset, "fashion-mnist");
  EXPECT_EQ(moved.options.data.folder, "/new");
}

TEST_F(RunTest, ItsOwnFileAsConfigIsTheRuns) {
  write_config("max-steps = 5\nolder-option = 3\n");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--resume", "auto", "--config", config_},
        {"--resume", run_, "--config", folder_.file("run/../run/config.toml")}}) {
    const Command command(arguments);
    EXPECT_EQ(command.table.find("lr")->origin(), Origin::run);
    EXPECT_EQ(command.options.max_steps, 0);
  }
  // For a new run it is a file as any other.
  write_config("max-steps = 5\n");
  const Command fresh({"--config", config_, "-o", folder_.file("new")});
  EXPECT_EQ(fresh.table.find("lr")->origin(), Origin::file);
  EXPECT_EQ(fresh.options.max_steps, 5);
  EXPECT_EQ(fresh.options.output, folder_.file("new"));
}

TEST_F(RunTest, FaultsOfItsFileNameTheLine) {
  write_config("momentum = 2\n");
  EXPECT_EQ(error_of({"--resume", run_}),
            config_ + ":6: momentum: expected a number from 0 to below 1, got '2'");
}

TEST_F(RunTest, AnotherOutputStartsFromItsNewestCheckpoint) {
  EXPECT_EQ(error_of({"--resume", run_, "-o", folder_.file("new")}),
            "--resume: " + run_ + " holds no checkpoint to go on from");
}

TEST_F(RunTest, NothingToGoOnWith) {
  const std::string empty = folder_.file("empty");
  EXPECT_EQ(error_of({"--resume", "auto", "-o", empty}),
            "--resume: nothing to go on with: no run in " + empty +
                ", and no data are named to begin one");
  EXPECT_NE(error_of({"--resume", empty}).find(empty + ": no such run or checkpoint"),
            std::string::npos);
}

}  // namespace
}  // namespace pal
