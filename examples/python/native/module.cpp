// The extension module: a submodule for each folder of the library.
#include "losses.hpp"
#include "spheremix/core/version.hpp"

namespace spheremix::python {
void bind_core(nb::module_& m);
void bind_sphere(nb::module_& m);
void bind_mixup(nb::module_& m);
void bind_metrics(nb::module_& m);
void bind_io(nb::module_& m);
}  // namespace spheremix::python

NB_MODULE(_native, m) {
  using namespace spheremix::python;
  namespace nb = nanobind;
  m.doc() = "spheremix: embeddings on the unit hypersphere. The C++ library, called from Python.";
  m.attr("__version__") = SPHEREMIX_VERSION;
  m.def("set_threads", &set_threads, nb::arg("n"),
        "Threads of the calls that follow, in every Python thread; 0: what OpenMP says.");
  m.def("threads", &threads, "Threads that a call takes.");

  // For the tests: the address that a batch is read from.
  m.def("_read_at", [](Arg x) {
    const Rows rows("_read_at", "x", x);
    return by_type(rows.is_double(), [&]<class T>() {
      return reinterpret_cast<std::uintptr_t>(rows.map<T>().data());
    });
  });

  nb::module_ core = m.def_submodule("core", "Random numbers: Philox.");
  nb::module_ sphere = m.def_submodule("sphere", "Points and batches of rows on the unit sphere.");
  nb::module_ mixup = m.def_submodule("mixup", "Mixing weights, partners and mixtures.");
  nb::module_ metrics = m.def_submodule("metrics", "What embeddings are like.");
  nb::module_ losses = m.def_submodule("losses", "Contrastive losses with closed-form gradients.");
  nb::module_ io = m.def_submodule("io", "Files of embeddings.");
  bind_core(core);
  bind_sphere(sphere);
  bind_mixup(mixup);
  bind_metrics(metrics);
  bind_losses_of_pairs(losses);
  bind_losses_that_mix(losses);
  bind_losses_of_labels(losses);
  bind_io(io);
}
