# %% [markdown]
# # Recognize and explain
#
# Find the face in a picture, read its expression, and see which labelled faces the answer rests on. The picture is
# Eileen Collins (NASA, public domain); it ships with Moodspace. Run the cells in an editor that knows `# %%`, or the
# whole file: `python docs/notebooks/recognize.py`.

# %%
import moodspace as ms
from moodspace.realtime.demo import picture_path

party = picture_path()

# %% [markdown]
# ## Recognize
#
# `recognize` finds the faces, and gives for each a box, the most probable expression and its calibrated probability.

# %%
found = ms.recognize(party)
face = found[0]
print(len(found), "face:", face.expression, f"{face.confidence:.2f}")
for name, share in sorted(face.probabilities.items(), key=lambda item: -item[1]):
    print(f"  {name:<9} {share:.4f}")

# %% [markdown]
# ## Explain
#
# The probability combines the network's own opinion with the votes of the most similar labelled faces. `neighbors` are
# the closest of them: a cosine similarity of 1 means the same position in the embedding space.

# %%
for near in face.neighbors:
    print(f"{near.label:<9} {near.similarity:.3f} {near.source}")

# %% [markdown]
# `unknown` says that the confidence is too low to answer, or that the face cannot be read. Here the lower half of the
# face is covered, and the answer is withheld.

# %%
picture = ms.read(party)
left, top, width, height = (round(value) for value in face.xywh)
covered = picture.copy()
covered[top + height * 11 // 20 : top + height + 10, left - 10 : left + width + 10] = 128
for one in ms.recognize(covered, channels="rgb"):
    print(one.expression, f"{one.confidence:.2f}", "unknown" if one.unknown else "readable")

# %% [markdown]
# ## Compare the label sets
#
# FER2013's labels call many calm faces sad or angry; FER+ asked ten people per face and calls faint fear calm. `blend`,
# the default, combines both.

# %%
for view in ("blend", "fer2013", "ferplus"):
    with ms.load(view=view) as model:
        answer = model.recognize(party)[0]
        print(f"{view:<8} {answer.expression} {answer.confidence:.2f} of {len(model.classes_)} classes")

# %% [markdown]
# ## Take the result along
#
# `to_dict()` is what `moodspace predict --json` prints. `to_pandas()` gives one row per face and needs pandas.

# %%
document = found.to_dict()
print(sorted(document), sorted(document["faces"][0]))
