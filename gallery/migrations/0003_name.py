"""A page's name is called `name` here too, as in its address and in JSON; it was `volume`."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0002_flagged"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="page", name="page_volume"),
        migrations.RenameField(model_name="page", old_name="volume", new_name="name"),
        migrations.AddIndex(
            model_name="page",
            index=models.Index(fields=["edition", "kind", "name"], name="page_name"),
        ),
    ]
