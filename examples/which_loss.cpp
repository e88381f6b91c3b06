// A call for each kind of supervision: the program of docs/which_loss.md. Rows here are random, so
// the figures mean nothing; what counts is what each call takes.
#include <cstdio>
#include <spheremix/spheremix.hpp>
#include <vector>

using namespace spheremix;
using Matrix = RowMatrix<float>;

int main() {
  core::Philox rng(1);
  const Index n = 8, d = 16;
  const Matrix image = sphere::sample_uniform<float>(n, d, rng);
  const Matrix text = sphere::sample_uniform<float>(n, d, rng);
  const auto show = [](const char* what, double loss) { std::printf("%-24s %7.3f\n", what, loss); };

  // Pairs: row i of one batch belongs to row i of the other.
  show("clip", losses::clip(image, text, {.temperature = 0.1}));
  show("siglip", losses::siglip(image, text, {.temperature = 0.1, .bias = -2}));

  // Pairs of a query and its document, with further documents as negatives of all.
  const Matrix documents = sphere::sample_uniform<float>(3 * n, d, rng);  // the first n are the own
  show("info_nce, 3 n documents", losses::info_nce(image, documents, {.temperature = 0.1}));

  // Several texts a picture: equal ids belong together, however many there are.
  const std::vector<int> picture_of_row{0, 0, 1, 1, 2, 2, 3, 3};
  const losses::Targets together = losses::ids(picture_of_row, picture_of_row);
  show("clip, targets by id", losses::clip(image, text, together, {.temperature = 0.1}));

  // The diagonal is the target, but rows with one id are no negatives of each other.
  show("clip, masked", losses::clip(image, text, {.temperature = 0.1, .exclude = together}));

  // Two views of the same things, and nothing else.
  show("nt_xent", losses::nt_xent(image, text, {.temperature = 0.1}));
  show("vicreg, no negatives", losses::vicreg(image, text));

  // Classes: rows with one label belong together.
  const std::vector<int> label{0, 0, 0, 1, 1, 1, 2, 2};
  show("sup_con", losses::sup_con(image, label, {.temperature = 0.1}));
  show("triplet", losses::triplet(image, label, {.margin = 0.2}));

  // Numbers: the nearer the labels, the nearer the rows.
  const std::vector<double> price{1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5};
  show("sup_remix", losses::sup_remix(image, price, core::Philox(2)));

  // A teacher: the student is to have the teacher's cosines.
  const Matrix teacher = image * text.transpose();
  const Matrix student_image = sphere::sample_uniform<float>(n, d, rng);
  show("clip, a teacher's table",
       losses::clip(student_image, text, losses::soft(losses::teacher_table(teacher, 0.1)),
                    {.temperature = 0.1}));

  // Pairs, and a pretrained encoder to be tuned without losing what it knows: mixing.
  show("clip_m2_mix", losses::clip_m2_mix(image, text, mixup::beta<double>(1, 0.5, 0.5, rng)[0]));

  // Logits of classes, inputs mixed.
  const Matrix logits = 5 * sphere::sample_uniform<float>(n, 3, rng);
  const std::vector<int> other{1, 1, 2, 2, 0, 0, 0, 1};
  show("mixup_cross_entropy", losses::mixup_cross_entropy(logits, label, other, 0.7));
}
