#pragma once
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/libtorch/trainer.h"

namespace rival {

/// Answers the commands of bench/steps/step.py (bench/README.md, "Worker protocol").
class Worker {
 public:
  explicit Worker(bool untuned) : untuned_(untuned) {}
  /// Throws std::exception for a command that cannot be done; the worker stays as it was.
  nlohmann::ordered_json answer(const nlohmann::json& command);

 private:
  nlohmann::ordered_json load(const nlohmann::json& command);
  nlohmann::ordered_json train(const nlohmann::json& command);
  nlohmann::ordered_json infer(const nlohmann::json& command);
  nlohmann::ordered_json memory(const nlohmann::json& command);
  Trainer& trainer();
  void synchronize() const;

  bool untuned_;
  Settings settings_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace rival
