#pragma once
#include "experiments/command_line/compute_options.h"
#include "runtime/communicator/ranks.h"

namespace pal {

/// How ranks exchange tensors: as suits the device, through the host, or by NCCL.
enum class CommKind { automatic, cpu, nccl };

/// Gives this rank its part of the machine, where the options leave it open: its GPU, by its place
/// among the ranks that see the same ones, and its threads, the processors that it was bound to or else an equal
/// share of them. Says what it chose, and warns of a launcher that left it a single processor.
/// Throws usage where ranks would share a GPU without --comm cpu.
void place_rank(ComputeOptions& compute, CommKind comm, Ranks& ranks);

/// The communicator for tensors on a device; null: that of the host. Throws as NCCL does.
std::unique_ptr<Communicator> device_communicator(Ranks& ranks, CommKind comm, Device device);

}  // namespace pal
