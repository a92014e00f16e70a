"""What is hidden is hidden in every edition; what was hidden before stays hidden in its own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gallery", "0003_name"),
    ]

    operations = [
        migrations.AddField(
            model_name="page",
            name="everywhere",
            field=models.BooleanField(default=False),
        ),
    ]
